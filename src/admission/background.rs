//! Long work on a thread that gives way to every other.

use std::thread;

use tokio::sync::oneshot;

/// Does `work` on a thread of its own, which runs when no other of the program wants to; `None` when there is no thread to
/// be had, or when it panics. It goes on to its end when nobody waits for it any more.
pub async fn background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let thread = thread::Builder::new().name("background".to_owned());
    let spawned = thread.spawn(move || {
        give_way();
        // It began like any other, maybe in the place of one that wants to run.
        thread::yield_now();
        // Nobody may be waiting any more.
        let _ = done.send(work());
    });
    spawned.ok()?;
    result.await.ok()
}

/// A review that wakes up goes first at once, where otherwise it would wait for the rest of this thread's turn, some
/// milliseconds.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no name for it")]
fn give_way() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters are there while they are read. 0 is the calling thread. Whether it can be had does not matter.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_another_thread_and_a_panic_is_no_result() {
        let here = thread::current().id();
        let there = background(|| thread::current().id()).await.unwrap();
        assert_ne!(here, there);
        let panicked = background(|| -> u8 { panic!("on purpose") }).await;
        assert_eq!(panicked, None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_gives_way_and_nobody_else_does() {
        // The 41st field: 5 is SCHED_IDLE.
        let policy = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let (_, fields) = stat.rsplit_once(") ").unwrap();
            fields.split(' ').nth(38).unwrap().to_owned()
        };
        assert_eq!(background(policy).await.unwrap(), "5");
        assert_eq!(policy(), "0");
    }
}
