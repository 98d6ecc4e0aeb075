//! Memory that is free goes back to the kernel. glibc keeps it for the next burst, and most bursts have no next.

use std::time::Duration;

use tokio::time::sleep;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_secs(2);
/// How much more must be free than the last time, in bytes, for it to be worth while.
const WORTH: u32 = 1 << 20;

/// Looks again and again, for ever, whether much was freed, and then gives back what is free.
///
/// Under a steady load as much is free as before, so that nothing is given back which is wanted again at once.
pub async fn give_back() {
    let mut known = allocator::free_bytes();
    loop {
        sleep(INTERVAL).await;
        let free = allocator::free_bytes();
        if free >= known.saturating_add(WORTH) {
            allocator::give_back();
            known = free;
        }
        known = known.min(free);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc has no safe name for either")]
mod allocator {
    /// What the allocator has and nobody uses, whether the kernel has it back or not.
    pub(super) fn free_bytes() -> u32 {
        // SAFETY: it takes the allocator's own locks, and only counts. Its successor, which counts beyond 4 GiB, is
        // missing where glibc is older than 2.33.
        unsafe { libc::mallinfo() }.fordblks.cast_unsigned()
    }

    pub(super) fn give_back() {
        // SAFETY: it takes the allocator's own locks, and touches nothing but what is free.
        unsafe { libc::malloc_trim(0) };
    }
}

/// Other allocators give back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod allocator {
    pub(super) fn free_bytes() -> u32 {
        0
    }

    pub(super) fn give_back() {}
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse().unwrap()
    }

    #[test]
    fn what_was_freed_between_what_is_kept_goes_back() {
        // Too small each for the allocator to map it by itself.
        let block = || vec![1_u8; 64 << 10];
        let mut blocks: Vec<Option<Vec<u8>>> = (0..2048).map(|_| Some(block())).collect();
        let (grown, used) = (resident_kib(), allocator::free_bytes());
        for some in blocks.chunks_mut(64) {
            some[1..].fill(None);
        }
        assert!(allocator::free_bytes() >= used + (64 << 20));
        allocator::give_back();
        let left = resident_kib();
        assert!(left + (64 << 10) < grown, "{grown} and then {left} KiB");
    }
}
