//! The audit trail: each record gets a number and is handed to what stores it, without holding up an admission.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::labels::LostReason;
use super::metrics::Metrics;
use keyguard_core::fingerprint::FingerprintKey;
use keyguard_core::policy::verdict::{Decision, Verdict};
use keyguard_core::record::{Kept, Record};
use keyguard_core::review::request::Request;

/// The most records that wait for the store: some 20 MB.
const QUEUE: usize = 20_000;
/// How many places are kept for refusals, so that allows are lost first.
const FOR_REFUSALS: usize = QUEUE / 4;
/// Hands records to the store; nothing of it waits.
pub struct Trail {
    cluster: String,
    replica: String,
    numbers: Numbers,
    key: FingerprintKey,
    queue: Sender<Record>,
    /// The last checkpoint, as the API server's audit log gets it.
    checkpoint: Arc<ArcSwapOption<String>>,
    metrics: Arc<Metrics>,
}

/// The running number of decisions, which outlives a program that is killed: what it had not stored is a gap.
#[derive(Debug)]
pub struct Numbers {
    last: Arc<AtomicU64>,
    /// Wakes the thread that writes the file: a disk that stands still must not hold up a review.
    wake: mpsc::SyncSender<()>,
}

impl Numbers {
    /// Goes on from the number in `file`, which is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(file: &Path) -> io::Result<Numbers> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(file)?;
        let mut bytes = [0; 8];
        let last = match file.read_at(&mut bytes, 0)? {
            8 => u64::from_be_bytes(bytes),
            _ => 0,
        };
        let last = Arc::new(AtomicU64::new(last));
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("keyguard-number".to_owned());
        let shared = Arc::clone(&last);
        thread.spawn(move || write(&file, &shared, &woken))?;
        Ok(Numbers { last, wake })
    }

    fn next(&self) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        // One that waits is enough: it finds the last number.
        let _ = self.wake.try_send(());
        number
    }
}

/// Writes the last number again and again, until nobody gives one any more. The kernel keeps it when the program is killed.
fn write(file: &File, last: &AtomicU64, woken: &mpsc::Receiver<()>) {
    while woken.recv().is_ok() {
        // A full disk costs a gap that is not seen.
        let _ = file.write_all_at(&last.load(Ordering::Relaxed).to_be_bytes(), 0);
    }
}

/// What a [`Trail`] hands over.
pub struct Handed {
    /// The records.
    pub queue: Receiver<Record>,
    /// Where the last checkpoint is told.
    pub checkpoint: Arc<ArcSwapOption<String>>,
}

impl Trail {
    /// A trail of this replica of a cluster, and the other end of it.
    pub fn new(
        cluster: String,
        replica: String,
        numbers: Numbers,
        key: FingerprintKey,
        metrics: Arc<Metrics>,
    ) -> (Trail, Handed) {
        let (sender, queue) = channel(QUEUE);
        let checkpoint = Arc::new(ArcSwapOption::empty());
        let handed = Handed {
            queue,
            checkpoint: Arc::clone(&checkpoint),
        };
        let trail = Trail {
            cluster,
            replica,
            numbers,
            key,
            queue: sender,
            checkpoint,
            metrics,
        };
        (trail, handed)
    }

    /// What a record gets that is kept.
    pub fn kept(&self, request: &Request, verdict: &Verdict) -> Kept {
        let fingerprint = self.key.fingerprint(request, verdict);
        Kept {
            cluster: self.cluster.clone(),
            replica: self.replica.clone(),
            number: self.numbers.next(),
            fingerprint,
        }
    }

    /// The last checkpoint: week, size and root of the log.
    pub fn checkpoint(&self) -> Option<Arc<String>> {
        self.checkpoint.load_full()
    }

    /// Hands over a record. When too many wait it is lost and counted: allows first, refusals last.
    pub fn keep(&self, record: Record) {
        let may_go = matches!(record.decision, Decision::Allow | Decision::Exempt);
        let is_full = may_go && self.queue.capacity() <= FOR_REFUSALS;
        if is_full || self.queue.try_send(record).is_err() {
            self.metrics.audit_records_lost.inc(match may_go {
                true => LostReason::AllowQueueFull,
                false => LostReason::RefusalQueueFull,
            });
        }
    }
}
