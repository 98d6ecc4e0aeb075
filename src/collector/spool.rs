//! What waits on disk until the collector has it: segments, each a batch of records as JSON lines.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::IgnoredAny;
use tokio::sync::Notify;

use super::{BATCH_BYTES, BATCH_RECORDS};

/// How the names of segments end; a number of 20 digits comes before it, by which they sort.
const ENDING: &str = "records";
/// How a segment is called until all of it is on disk.
const PARTIAL: &str = "partial";
/// The file that the one who uses the folder has locked.
const LOCK: &str = "lock";
/// The bytes of a block of the usual file systems.
const BLOCK_BYTES: u64 = 4096;
/// The most bytes of segments in memory, while none can be written.
const MEMORY_BYTES: u64 = 16 << 20;

/// What a file takes on disk, where the kubelet counts blocks: a pod that takes more than its volume may is evicted.
fn on_disk(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

/// How many records a batch has.
fn lines(batch: &[u8]) -> usize {
    batch.iter().filter(|byte| **byte == b'\n').count()
}

/// A folder of segments, the oldest first. What cannot be written into it waits in memory, within bounds.
pub struct Spool {
    folder: PathBuf,
    most_bytes: u64,
    segments: Mutex<Segments>,
    /// Keeps others from the folder, as long as it is open.
    _lock: Option<File>,
    /// Told when there is another segment.
    pub added: Notify,
}

#[derive(Default)]
struct Segments {
    waiting: VecDeque<Segment>,
    bytes: u64,
    next: u64,
}

struct Segment {
    number: u64,
    bytes: u64,
    /// The batch, when it is not on disk.
    in_memory: Option<Vec<u8>>,
}

/// Where a segment is kept.
#[derive(Debug)]
pub enum Kept {
    /// On disk, whatever happens to the program.
    OnDisk,
    /// In memory, as it cannot be written.
    InMemory(io::Error),
    /// Nowhere: neither disk nor memory has room.
    Nowhere(io::Error),
}

impl Spool {
    /// The spool in `folder`, which is made when it is not there; its segments may have so many bytes.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: &Path, most_bytes: u64) -> io::Result<Spool> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::other("another keyguard uses this folder; each needs its own")
            }
            TryLockError::Error(error) => error,
        })?;
        let mut waiting = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(OsStr::to_str);
            match (path.extension().and_then(OsStr::to_str), number) {
                (Some(PARTIAL), _) => fs::remove_file(&path)?,
                (Some(ENDING), Some(number)) => {
                    if let Ok(number) = number.parse() {
                        let bytes = on_disk(fs::metadata(&path)?.len());
                        waiting.push(Segment {
                            number,
                            bytes,
                            in_memory: None,
                        });
                    }
                }
                _ => {}
            }
        }
        waiting.sort_by_key(|segment| segment.number);
        let segments = Segments {
            bytes: waiting.iter().map(|segment| segment.bytes).sum(),
            next: waiting.last().map_or(0, |last| last.number + 1),
            waiting: waiting.into(),
        };
        Ok(Spool {
            segments: Mutex::new(segments),
            _lock: Some(lock),
            ..Spool::empty(folder, most_bytes)
        })
    }

    /// A spool that knows nothing of what is in `folder`, and writes there once that can be done.
    pub fn empty(folder: &Path, most_bytes: u64) -> Spool {
        Spool {
            folder: folder.to_owned(),
            most_bytes,
            segments: Mutex::default(),
            _lock: None,
            added: Notify::new(),
        }
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> u64 {
        self.segments().bytes
    }

    /// How many bytes there is room for; `share` is the part of the spool, in quarters, that may be filled.
    pub fn room(&self, share: u64) -> u64 {
        let most = self.most_bytes / 4 * share;
        most.saturating_sub(self.bytes())
    }

    /// Puts a batch behind the others. It blocks until the batch is on disk. One caller at a time.
    pub fn push(&self, batch: Vec<u8>) -> Kept {
        let (number, in_memory) = {
            let segments = self.segments();
            let in_memory = segments.waiting.iter();
            let in_memory = in_memory.filter(|segment| segment.in_memory.is_some());
            (segments.next, in_memory.map(|it| it.bytes).sum::<u64>())
        };
        let bytes = on_disk(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        let (in_memory, kept) = match self.write(number, &batch) {
            Ok(()) => (None, Kept::OnDisk),
            Err(error) if in_memory + bytes > MEMORY_BYTES => return Kept::Nowhere(error),
            Err(error) => (Some(batch), Kept::InMemory(error)),
        };
        let mut segments = self.segments();
        segments.next = number + 1;
        segments.bytes += bytes;
        segments.waiting.push_back(Segment {
            number,
            bytes,
            in_memory,
        });
        drop(segments);
        self.added.notify_one();
        kept
    }

    /// The oldest batches, as many as may be sent at once, and the number of the last of them; nothing when none waits. It
    /// blocks.
    ///
    /// # Errors
    /// The number of one, when its file cannot be read.
    pub fn oldest(&self) -> Result<Option<(u64, Vec<u8>)>, (u64, io::Error)> {
        let mut oldest: Option<(u64, Vec<u8>)> = None;
        loop {
            let after = oldest.as_ref().map(|(last, _)| *last);
            let Some((number, batch)) = self.next_after(after)? else {
                return Ok(oldest);
            };
            let (_, together) = oldest.get_or_insert((number, Vec::new()));
            let fits = together.len() + batch.len() <= BATCH_BYTES
                && lines(together) + lines(&batch) <= BATCH_RECORDS;
            if !together.is_empty() && !fits {
                return Ok(oldest);
            }
            together.extend(batch);
            oldest = oldest.map(|(_, together)| (number, together));
        }
    }

    fn next_after(&self, number: Option<u64>) -> Result<Option<(u64, Vec<u8>)>, (u64, io::Error)> {
        let number = {
            let segments = self.segments();
            let mut waiting = segments.waiting.iter();
            let next = waiting.find(|segment| number.is_none_or(|number| segment.number > number));
            match next {
                None => return Ok(None),
                Some(Segment {
                    number,
                    in_memory: Some(batch),
                    ..
                }) => return Ok(Some((*number, batch.clone()))),
                Some(segment) => segment.number,
            }
        };
        let read = fs::read(self.path(number, ENDING)).and_then(|batch| {
            // What a faulty disk made of it would be refused for ever, and keep the others waiting.
            let values = serde_json::Deserializer::from_slice(&batch).into_iter::<IgnoredAny>();
            values.collect::<Result<Vec<_>, _>>()?;
            Ok(batch)
        });
        read.map(|batch| Some((number, batch)))
            .map_err(|error| (number, error))
    }

    /// Forgets the batches up to the one with this number. It blocks.
    ///
    /// # Errors
    /// When a file cannot be removed; it is forgotten all the same.
    pub fn remove_up_to(&self, number: u64) -> io::Result<()> {
        let mut removed = Ok(());
        while let Some(segment) = self.pop_up_to(number) {
            if segment.in_memory.is_none() {
                removed = removed.and(fs::remove_file(self.path(segment.number, ENDING)));
            }
        }
        removed
    }

    fn pop_up_to(&self, number: u64) -> Option<Segment> {
        let mut segments = self.segments();
        let popped = segments
            .waiting
            .pop_front_if(|segment| segment.number <= number)?;
        segments.bytes -= popped.bytes;
        Some(popped)
    }

    /// A batch is there whole or not at all, after a loss of power too.
    fn write(&self, number: u64, batch: &[u8]) -> io::Result<()> {
        let partial = self.path(number, PARTIAL);
        let segment = self.path(number, ENDING);
        let written = File::create(&partial).and_then(|mut file| {
            file.write_all(batch)?;
            file.sync_all()
        });
        // A link, unlike a rename, puts nothing in the place of what a program before has left.
        let linked = written.and_then(|()| fs::hard_link(&partial, &segment));
        // It takes room that the next one may need.
        let _ = fs::remove_file(&partial);
        linked?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.inspect_err(|_| drop(fs::remove_file(&segment)))
    }

    fn path(&self, number: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("{number:020}.{ending}"))
    }

    fn segments(&self) -> MutexGuard<'_, Segments> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Vec<u8> {
        format!("{text:?}\n").into()
    }

    fn all(spool: &Spool) -> Vec<String> {
        let mut all = Vec::new();
        while let Some((number, batch)) = spool.oldest().unwrap() {
            let texts = serde_json::Deserializer::from_slice(&batch).into_iter::<String>();
            all.extend(texts.map(Result::unwrap));
            spool.remove_up_to(number).unwrap();
        }
        all
    }

    #[test]
    fn batches_come_in_their_order_also_after_the_program_was_killed() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        for text in ["first", "second"] {
            assert!(matches!(spool.push(batch(text)), Kept::OnDisk));
        }
        let other = Spool::open(folder.path(), 1 << 20).map(drop).unwrap_err();
        assert!(
            other
                .to_string()
                .contains("another keyguard uses this folder")
        );
        drop(spool);
        // A batch that was being written when the program died is none.
        fs::write(folder.path().join("00000000000000000002.partial"), "thi").unwrap();
        fs::write(folder.path().join("number"), "another file").unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(spool.bytes(), 2 * BLOCK_BYTES);
        assert!(matches!(spool.push(batch("third")), Kept::OnDisk));
        assert_eq!(all(&spool), ["first", "second", "third"]);
        assert_eq!(spool.bytes(), 0);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        // The other file, and the lock.
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn what_cannot_be_written_waits_in_memory_between_what_is_on_disk() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("spool");
        let spool = Spool::open(&folder, 1 << 30).unwrap();
        spool.push(batch("on disk"));
        // Neither root's rights nor a full disk: a folder that is not there cannot be written to.
        let away = parent.path().join("away");
        fs::rename(&folder, &away).unwrap();
        assert!(matches!(spool.push(batch("in memory")), Kept::InMemory(_)));
        let large = vec![b'x'; usize::try_from(MEMORY_BYTES).unwrap()];
        assert!(matches!(spool.push(large), Kept::Nowhere(_)));
        fs::rename(&away, &folder).unwrap();
        assert!(matches!(spool.push(batch("on disk again")), Kept::OnDisk));
        assert_eq!(all(&spool), ["on disk", "in memory", "on disk again"]);
    }

    #[test]
    fn one_that_could_not_read_the_folder_puts_nothing_in_the_place_of_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.push(batch("first"));
        drop(spool);
        let blind = Spool::empty(folder.path(), 1 << 20);
        assert!(matches!(blind.push(batch("second")), Kept::InMemory(_)));
        assert_eq!(
            all(&Spool::open(folder.path(), 1 << 20).unwrap()),
            ["first"]
        );
        assert_eq!(all(&blind), ["second"]);
    }

    #[test]
    fn a_segment_that_is_damaged_or_gone_is_told_by_its_number_and_can_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        for text in ["damaged", "gone", "good"] {
            spool.push(batch(text));
        }
        let path = |number| folder.path().join(format!("{number:020}.records"));
        fs::write(path(0), "\"dama").unwrap();
        fs::remove_file(path(1)).unwrap();
        for expected in [0, 1] {
            let (number, _) = spool.oldest().unwrap_err();
            assert_eq!(number, expected);
            let _ = spool.remove_up_to(number);
        }
        assert_eq!(all(&spool), ["good"]);
    }

    #[test]
    fn small_batches_go_together_up_to_a_bound_in_bytes_and_records() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 30).unwrap();
        let large = "x".repeat(BATCH_BYTES / 3);
        for _ in 0..4 {
            spool.push(batch(&large));
        }
        spool.push(batch("small").repeat(BATCH_RECORDS - 1));
        spool.push(batch("small").repeat(2));
        let mut sent = Vec::new();
        while let Some((number, together)) = spool.oldest().unwrap() {
            sent.push((number, lines(&together)));
            spool.remove_up_to(number).unwrap();
        }
        assert_eq!(sent, [(1, 2), (3, 2), (4, 999), (5, 2)]);
    }
}
