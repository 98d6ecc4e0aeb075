//! The audit trail: each record gets a number and is handed to what stores it, without holding up an admission.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::labels::LostReason;
use super::metrics::Metrics;
use keyguard_core::fingerprint::FingerprintKey;
use keyguard_core::policy::verdict::{Decision, Verdict};
use keyguard_core::record::{Kept, Record};
use keyguard_core::review::request::Request;

/// The most bytes of records that wait for the store: some 20,000 records.
const QUEUE_BYTES: usize = 24 << 20;
/// Up to where allows wait, so that they are lost first.
const ALLOWS_BYTES: usize = QUEUE_BYTES / 4 * 3;

/// How long records may gather before they are written: to wait for the disk for each would slow others that share it, etcd
/// perhaps.
const GATHER: Duration = Duration::from_millis(100);

/// Hands records to the store; nothing of it waits.
pub struct Trail {
    cluster: String,
    replica: String,
    numbers: Option<Numbers>,
    shared: Arc<Shared>,
    queue: UnboundedSender<Waiting>,
    metrics: Arc<Metrics>,
}

/// What both ends of a trail have.
#[derive(Default)]
pub struct Shared {
    /// The key of fingerprints; without one, records have none.
    pub key: ArcSwapOption<FingerprintKey>,
    /// The last checkpoint, as the API server's audit log gets it.
    pub checkpoint: ArcSwapOption<String>,
    queued_bytes: AtomicUsize,
}

/// A record that waits, and how long it is as JSON.
struct Waiting {
    record: Record,
    bytes: usize,
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

/// The last number in a file, if there is one.
pub fn last_number(file: &Path) -> Option<i64> {
    let bytes = std::fs::read(file).ok()?.try_into().ok()?;
    i64::try_from(u64::from_be_bytes(bytes)).ok()
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
    queue: UnboundedReceiver<Waiting>,
    /// What both ends have.
    pub shared: Arc<Shared>,
}

impl Handed {
    /// Waits for records and a moment for more, and adds at most `most` to `records`; how many there were, none when nobody
    /// hands over any more.
    pub async fn take(&mut self, records: &mut Vec<Record>, most: usize) -> usize {
        let mut taken = Vec::new();
        if self.queue.recv_many(&mut taken, most).await > 0 && taken.len() < most {
            sleep(GATHER).await;
        }
        while taken.len() < most
            && let Ok(waiting) = self.queue.try_recv()
        {
            taken.push(waiting);
        }
        let count = taken.len();
        let bytes = taken.iter().map(|waiting| waiting.bytes).sum();
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        records.extend(taken.into_iter().map(|waiting| waiting.record));
        count
    }

    /// How many records wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}

impl Trail {
    /// A trail of this replica of a cluster, and the other end of it; without numbers, records have none.
    pub fn new(
        cluster: String,
        replica: String,
        numbers: Option<Numbers>,
        metrics: Arc<Metrics>,
    ) -> (Trail, Handed) {
        let (sender, queue) = unbounded_channel();
        let shared = Arc::<Shared>::default();
        let handed = Handed {
            queue,
            shared: Arc::clone(&shared),
        };
        let trail = Trail {
            cluster,
            replica,
            numbers,
            shared,
            queue: sender,
            metrics,
        };
        (trail, handed)
    }

    /// What a record gets that is kept.
    pub fn kept(&self, request: &Request, verdict: &Verdict) -> Kept {
        let key = self.shared.key.load();
        let fingerprint = key.as_ref().map(|key| key.fingerprint(request, verdict));
        Kept {
            fingerprint: fingerprint.unwrap_or_default(),
            ..self.numbered()
        }
    }

    /// The same for a request of which nothing is known.
    pub fn numbered(&self) -> Kept {
        Kept {
            cluster: self.cluster.clone(),
            replica: self.replica.clone(),
            number: self.numbers.as_ref().map_or(0, Numbers::next),
            fingerprint: String::new(),
        }
    }

    /// The last checkpoint: week, size and root of the log.
    pub fn checkpoint(&self) -> Option<Arc<String>> {
        self.shared.checkpoint.load_full()
    }

    /// Hands over a record that has so many bytes as JSON. When too many wait it is lost and counted: allows first,
    /// refusals last.
    pub fn keep(&self, record: Record, bytes: usize) {
        let (most, reason) = match may_be_lost_first(&record) {
            true => (ALLOWS_BYTES, LostReason::AllowQueueFull),
            false => (QUEUE_BYTES, LostReason::RefusalQueueFull),
        };
        let queued = &self.shared.queued_bytes;
        let before = queued.fetch_add(bytes, Ordering::Relaxed);
        let waiting = Waiting { record, bytes };
        if before + bytes > most || self.queue.send(waiting).is_err() {
            queued.fetch_sub(bytes, Ordering::Relaxed);
            self.metrics.audit_records_lost.inc(reason);
        }
    }
}

/// Whether the record is of something that went through as it should, or of what nothing is known of.
pub fn may_be_lost_first(record: &Record) -> bool {
    matches!(
        record.decision,
        Decision::Allow | Decision::Exempt | Decision::Shed | Decision::Failed
    )
}
