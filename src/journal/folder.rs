//! Files that only their owner may read, and a folder that only one process may use.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use super::JournalError;

/// Creates a folder of mode 0700 if there is none, and its parents, and makes their names safe from
/// a loss of power.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        // Its maker may have ended before it synced. A parent that we may not read was not written
        // to by us.
        return sync_parent(path).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Ok(()),
            _ => Err(error),
        });
    }
    if let Some(parent) = path.parent() {
        create(parent)?;
    }
    #[allow(unused_mut)]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path),
    }
}

/// Creates a file of mode 0600. Fails if it exists.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates an empty file of mode 0600, and removes what was there.
pub(super) fn empty_file(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => new_file(path),
    }
}

/// Makes the name of a new file or folder safe from a loss of power.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync)
}

/// Makes the names in a folder safe from a loss of power.
#[cfg(unix)]
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be synced on this system.
#[cfg(not(unix))]
pub(crate) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Locks a folder for this process until it is dropped.
pub(super) struct Lock(File);

/// Unlocks rather than just closes: a child that another thread is starting holds a copy of every
/// open file for a moment.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Locks a folder. If another process has locked it, returns an error that ends with `advice`.
pub(super) fn lock(folder: &Path, advice: &str) -> Result<Lock, JournalError> {
    let path = folder.join("lock");
    let file = match new_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            File::options().write(true).open(&path)?
        }
        other => other?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(JournalError::unavailable(format_args!(
            "the folder is open already, and one process may use it at a time: {advice}"
        ))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Checks that the disk can be written: writes a small file and removes it.
pub(super) fn try_write(folder: &Path) -> io::Result<()> {
    use io::Write;

    let path = folder.join("trial");
    let written = empty_file(&path).and_then(|mut file| {
        file.write_all(&[0x2a; TRIAL])?;
        file.sync_all()
    });
    std::fs::remove_file(&path)?;
    written
}

/// The length of the small file, in bytes.
const TRIAL: usize = 64 * 1024;

/// Writes each file of the journal over itself. After a sync that failed, the system may count
/// pages as written that the disk never took. It then shows more than a loss of power would leave.
pub(super) fn write_journals_again(folder: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            write_again(&path)?;
        }
    }
    Ok(())
}

fn write_again(path: &Path) -> io::Result<()> {
    use io::{Read, Seek, SeekFrom, Write};

    let mut file = File::options().read(true).write(true).open(path)?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let at = file.stream_position()?;
        let length = file.read(&mut chunk)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            return file.sync_all();
        };
        // A hole stays a hole: a full disk has no space for its zeros.
        if read.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(read)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_unlocked_although_a_child_has_a_copy_of_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path(), "").unwrap();
        let copy = held.0.try_clone().unwrap();
        assert!(lock(folder.path(), "").is_err());
        drop(held);
        assert!(lock(folder.path(), "").is_ok());
        drop(copy);
    }

    #[test]
    fn folders_are_made_below_folders_and_not_below_a_file() {
        let folder = tempfile::tempdir().unwrap();
        create(&folder.path().join("one/two")).unwrap();
        create(&folder.path().join("one/two")).unwrap();
        let file = folder.path().join("file");
        new_file(&file).unwrap();
        let error = create(&file.join("one")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    /// Root may read anything: then this shows nothing.
    #[cfg(unix)]
    #[test]
    fn a_parent_that_may_not_be_read_is_no_obstacle() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};

        let parent = tempfile::tempdir().unwrap();
        create(&parent.path().join("one")).unwrap();
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o300)).unwrap();
        let opened = create(&parent.path().join("one"));
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
        opened.unwrap();
    }

    #[test]
    fn a_trial_leaves_nothing_behind_and_fails_in_a_folder_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        try_write(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let gone = folder.path().join("gone");
        assert_eq!(
            try_write(&gone).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_is_written_again_as_it_was_with_its_holes_and_nothing_else_is() {
        use std::{io::Write, os::unix::fs::MetadataExt, time::SystemTime};

        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..200_000u32).map(|at| (at % 255 + 1) as u8).collect();
        let make = |name, length| {
            let path = folder.path().join(name);
            let mut file = new_file(&path).unwrap();
            file.write_all(&bytes).unwrap();
            file.set_len(length).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            path
        };
        let (journal, other) = (make("0.jnl", 4 << 20), make("other", 200_000));
        write_journals_again(folder.path()).unwrap();
        let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
        assert!(modified(&journal) > SystemTime::UNIX_EPOCH);
        assert_eq!(modified(&other), SystemTime::UNIX_EPOCH);
        let after = std::fs::read(&journal).unwrap();
        assert!(after.starts_with(&bytes) && after[bytes.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(after.len(), 4 << 20);
        assert!(
            journal.metadata().unwrap().blocks() < 2_048,
            "a hole stays one"
        );
    }
}
