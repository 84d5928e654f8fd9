//! Repairs the end of the engine's own journal file after a loss of power.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::head::{HEAD, HEAD_LENGTH, Head};

/// Cuts off the last batch of the newest journal in `folder` if a loss of power tore it. The engine
/// itself drops a batch that ends too early, but refuses to open if a batch has its end and lacks
/// something before it.
///
/// It never cuts a batch that was acknowledged, as far as `acknowledged` says, or that a later
/// batch follows. A file with such a fault was damaged: it stays as it is, and the engine refuses
/// it.
pub(super) fn cut_torn_batch(folder: &Path, acknowledged: u64) -> io::Result<()> {
    let Some(path) = newest(folder)? else {
        return Ok(());
    };
    let file = File::options().read(true).write(true).open(path)?;
    let (mut journal, mut whole, mut last) = (BufReader::new(&file), 0, None);
    loop {
        match read_batch(&mut journal)? {
            NextBatch::Batch { length, head } => {
                whole += length;
                last = head.or(last);
            }
            NextBatch::End => return Ok(()),
            NextBatch::Torn => break,
        }
    }
    let torn = heads(&rest(&file, whole)?);
    let is_last = match torn[..] {
        [] => last.is_none_or(|last| last.sequence >= acknowledged),
        // One that a later batch follows was acknowledged, even if its own head cannot be read.
        [head] => last.is_some_and(|last| {
            last.sequence >= acknowledged && head.sequence == last.sequence + 1
        }),
        _ => false,
    };
    if is_last {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Returns the file that is written to: the one with the greatest number.
fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let number = path
            .file_stem()
            .and_then(OsStr::to_str)
            .and_then(|stem| stem.parse::<u64>().ok());
        if path.extension() == Some(OsStr::new("jnl")) && number.is_some() {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// What comes next in the file.
enum NextBatch {
    Batch { length: u64, head: Option<Head> },
    End,
    Torn,
}

/// Reads a batch as the engine writes it: a start with the number of records, the records, and an
/// end with their checksum.
fn read_batch(journal: &mut impl Read) -> io::Result<NextBatch> {
    let Some([START]) = array(journal)? else {
        return Ok(NextBatch::End);
    };
    let Some([n0, n1, n2, n3, ..]) = array::<12>(journal)? else {
        return Ok(NextBatch::Torn);
    };
    let (mut length, mut head, mut sum) = (13, None, Xxh3::new());
    for _ in 0..u32::from_le_bytes([n0, n1, n2, n3]) {
        let Some(record) = array::<21>(journal)? else {
            return Ok(NextBatch::Torn);
        };
        let [RECORD, .., k0, k1, _, _, _, _, v0, v1, v2, v3] = record else {
            return Ok(NextBatch::Torn);
        };
        let (key, value) = (
            u64::from(u16::from_le_bytes([k0, k1])),
            u64::from(u32::from_le_bytes([v0, v1, v2, v3])),
        );
        let mut bytes = Vec::new();
        journal.take(key + value).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != key + value {
            return Ok(NextBatch::Torn);
        }
        sum.update(&record);
        sum.update(&bytes);
        length += record.len() as u64 + key + value;
        head = bytes.strip_prefix(HEAD).and_then(Head::from_bytes).or(head);
    }
    match array::<13>(journal)? {
        Some([END, check @ .., b'F', b'J', b'L', 3]) if check == sum.digest().to_le_bytes() => {
            Ok(NextBatch::Batch {
                length: length + 13,
                head,
            })
        }
        _ => Ok(NextBatch::Torn),
    }
}

/// Reads the next bytes. Returns `None` if there are too few.
fn array<const LENGTH: usize>(journal: &mut impl Read) -> io::Result<Option<[u8; LENGTH]>> {
    let mut bytes = [0; LENGTH];
    match journal.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| Some(bytes)),
    }
}

/// Reads `file` from `start` on, without the many zeros that a file is created with.
fn rest(mut file: &File, start: u64) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    loop {
        let before = rest.len();
        if file.take(ZEROS.len() as u64).read_to_end(&mut rest)? == 0 {
            return Ok(rest);
        }
        if ZEROS.starts_with(&rest[before..]) {
            rest.truncate(before);
        }
    }
}

/// Returns the heads of all batches in `bytes`, wherever they are.
fn heads(bytes: &[u8]) -> Vec<Head> {
    let places = bytes
        .windows(HEAD.len() + HEAD_LENGTH)
        .filter_map(|place| place.strip_prefix(HEAD));
    places.filter_map(Head::from_bytes).collect()
}

static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
const START: u8 = 1;
const RECORD: u8 = 2;
const END: u8 = 3;

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;
    use crate::journal::{Batch, JournalError, JournalErrorKind, engine::Engine};

    #[test]
    fn a_torn_batch_that_was_not_acknowledged_is_cut_off() {
        let journal = WrittenJournal::new();
        for hole in [
            journal.ends[1] + 600,
            journal.ends[1] + 9_000,
            journal.ends[2] - 700,
        ] {
            let torn = journal.with(&journal.floors[1], hole, 300);
            assert_eq!(
                torn.read().unwrap(),
                [b"0".to_vec(), b"1".to_vec()],
                "a hole at {hole}"
            );
        }
    }

    #[test]
    fn a_batch_with_a_hole_that_was_acknowledged_or_is_not_the_last_is_refused_and_left_unchanged()
    {
        let journal = WrittenJournal::new();
        let last = journal.ends[1] + 9_000;
        for (floor, hole, length) in [
            (&journal.floors[2], last, 300),
            (&journal.floors[1], journal.ends[0] + 9_000, 300),
            (&journal.floors[0], journal.ends[0] + 9_000, 300),
            // In the head of the batch before the last one.
            (&journal.floors[0], journal.ends[1] - 70, 50),
        ] {
            let damaged = journal.with(floor, hole, length);
            let before = fs::read(damaged.journal()).unwrap();
            assert_eq!(
                damaged.read().unwrap_err().kind(),
                JournalErrorKind::Corrupt,
                "a hole at {hole}"
            );
            assert!(
                before == fs::read(damaged.journal()).unwrap(),
                "a hole at {hole}"
            );
        }
    }

    #[test]
    fn a_cut_leaves_the_batches_before_it_and_nothing_of_the_torn_one() {
        let log = WrittenJournal::new();
        let mut whole = fs::read(log.journal()).unwrap();
        whole.truncate(log.ends[2]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.jnl");
        let length_after_cut = |bytes: &[u8], acknowledged| {
            fs::write(&path, bytes).unwrap();
            cut_torn_batch(folder.path(), acknowledged).unwrap();
            path.metadata().unwrap().len() as usize
        };
        for hole in [log.ends[1] + 9_000, log.ends[2] - 80] {
            let mut torn = whole.clone();
            torn[hole..hole + 50].fill(0);
            assert_eq!(length_after_cut(&torn, 3), log.ends[1], "a hole at {hole}");
            assert_eq!(length_after_cut(&torn, 4), log.ends[2], "it was answered");
        }
        let first = [START, 2, 0, 0];
        assert_eq!(length_after_cut(&first, 3), 0, "the first of its journal");
    }

    #[test]
    fn a_batch_of_many_records_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = Engine::open(folder.path(), [7; 16], |_, _| Ok(())).unwrap();
        let mut batch = Batch::default();
        (0..300u32).for_each(|key| batch.change(&key.to_le_bytes(), None, Some(b"value")));
        engine.commit(batch).unwrap();
        let bytes = fs::read(folder.path().join("journal/0.jnl")).unwrap();
        let (mut unread, mut read) = (&bytes[..], 0);
        for sequence in [1, 2] {
            let NextBatch::Batch { length, head } = read_batch(&mut unread).unwrap() else {
                panic!("batch {sequence} is not read");
            };
            assert_eq!(head.unwrap().sequence, sequence);
            read += length as usize;
        }
        assert_eq!(read, bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
        assert!(matches!(read_batch(&mut unread), Ok(NextBatch::End)));
    }

    #[test]
    fn the_newest_journal_has_the_greatest_number_and_the_name_of_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path()).unwrap(), None);
        for name in ["2.jnl", "10.jnl", "9.jnl", "11.old", "12", "x.jnl"] {
            fs::write(folder.path().join(name), []).unwrap();
        }
        let expected = folder.path().join("10.jnl");
        assert_eq!(newest(folder.path()).unwrap(), Some(expected));
    }

    #[test]
    fn the_rest_of_a_journal_is_read_without_its_zeros() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        file.set_len(1 << 20).unwrap();
        let rest = rest(&file, 6).unwrap();
        assert!(rest.starts_with(&[7; 100_000]));
        assert_eq!(rest.len(), 2 * ZEROS.len());
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_not_at_its_end() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        assert!(read_batch(&mut Failing).is_err());
        assert!(read_batch(&mut [START].chain(Failing)).is_err());
    }

    /// A journal of three batches.
    struct WrittenJournal {
        folder: tempfile::TempDir,
        /// The index of the byte after each batch, and the side file as it was then.
        ends: Vec<usize>,
        floors: Vec<Vec<u8>>,
    }

    impl WrittenJournal {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut written = Self {
                folder,
                ends: Vec::new(),
                floors: Vec::new(),
            };
            let mut engine = Engine::open(written.folder.path(), [7; 16], |_, _| Ok(())).unwrap();
            for key in [b"0", b"1", b"2"] {
                let mut batch = Batch::default();
                batch.change(key, None, Some(&[b'x'; 20_000]));
                engine.commit(batch).unwrap();
                let journal = fs::read(written.journal()).unwrap();
                let end = journal.iter().rposition(|byte| *byte != 0).unwrap() + 1;
                let floor = fs::read(written.folder.path().join("floor")).unwrap();
                written.ends.push(end);
                written.floors.push(floor);
            }
            written
        }

        fn journal(&self) -> PathBuf {
            self.folder.path().join("journal/0.jnl")
        }

        /// A copy with this side file, and with a hole in its journal.
        fn with(&self, floor: &[u8], hole: usize, length: usize) -> Self {
            let copy = Self {
                folder: tempfile::tempdir().unwrap(),
                ends: Vec::new(),
                floors: Vec::new(),
            };
            copy_folder(self.folder.path(), copy.folder.path());
            fs::write(copy.folder.path().join("floor"), floor).unwrap();
            let mut journal = fs::read(copy.journal()).unwrap();
            journal[hole..hole + length].fill(0);
            fs::write(copy.journal(), journal).unwrap();
            copy
        }

        /// The keys that it opens with.
        fn read(&self) -> Result<Vec<Vec<u8>>, JournalError> {
            let mut keys = Vec::new();
            let engine = Engine::open(self.folder.path(), [8; 16], |key, _| {
                keys.push(key.to_vec());
                Ok(())
            })?;
            assert_eq!(engine.id(), [7; 16]);
            Ok(keys)
        }
    }

    fn copy_folder(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => copy_folder(&entry.path(), &to.join(entry.file_name())),
                false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
            }
        }
    }
}
