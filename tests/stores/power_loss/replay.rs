//! Repeats on a [`Disk`] what a process did to its files.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    disk::{Disk, Node},
    trace::{Argument, Moment},
};

pub(super) struct Replay {
    pub(super) disk: Disk,
    root: PathBuf,
    open: HashMap<i64, Open>,
    said: Vec<u8>,
}

#[derive(Clone)]
struct Open {
    node: Node,
    path: PathBuf,
    at: u64,
    appends: bool,
}

impl Replay {
    /// Creates the replay of a process that works in `root`, whose files `disk` holds.
    pub(super) fn new(root: &Path, disk: Disk) -> Self {
        Self {
            disk,
            root: root.to_owned(),
            open: HashMap::new(),
            said: Vec::new(),
        }
    }

    /// Replays a moment. Returns the lines that the process finished at it.
    pub(super) fn step(&mut self, moment: &Moment) -> Vec<String> {
        match (&*moment.name, moment.ends) {
            ("write", true) if moment.number(0) == 1 && moment.result > 0 => {
                return self.hear(moment.bytes(1));
            }
            ("fsync" | "fdatasync", false) => {
                if let Some(open) = self.open.get(&moment.number(0)) {
                    self.disk.begin_sync(open.node);
                }
            }
            // Another thread may get the number before the call ends.
            ("close", false) => drop(self.open.remove(&moment.number(0))),
            ("fsync" | "fdatasync", true) => {
                if let Some(open) = self.open.get(&moment.number(0)) {
                    self.disk.end_sync(open.node, moment.result == 0);
                }
            }
            (_, true) if moment.result >= 0 => self.end(moment),
            _ => {}
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<String> {
        self.said.extend_from_slice(bytes);
        let Some(end) = self.said.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let lines = String::from_utf8(self.said.drain(..=end).collect()).unwrap();
        lines
            .lines()
            .filter_map(|line| Some(line.strip_prefix("> ")?.to_owned()))
            .collect()
    }

    fn end(&mut self, moment: &Moment) {
        match &*moment.name {
            "close" => {}
            "open" => self.opened(moment, moment.text(0).into(), 1),
            "openat" => self.opened(moment, self.path(moment, 0), 2),
            "mkdir" => self.made(&self.path_of(moment.text(0))),
            "mkdirat" => self.made(&self.path(moment, 0)),
            "unlink" | "rmdir" => self.renamed(&self.path_of(moment.text(0)), None),
            "unlinkat" => self.renamed(&self.path(moment, 0), None),
            "rename" => self.renamed(
                &self.path_of(moment.text(0)),
                Some(&self.path_of(moment.text(1))),
            ),
            "renameat" | "renameat2" => {
                self.renamed(&self.path(moment, 0), Some(&self.path(moment, 2)))
            }
            "fcntl" if !moment.has(1, "F_DUPFD") && !moment.has(1, "F_DUPFD_CLOEXEC") => {}
            "fcntl" | "dup" => {
                if let Some(open) = self.open.get(&moment.number(0)).cloned() {
                    self.open.insert(moment.result, open);
                }
            }
            "mmap" => {
                let is_ours = self.open.contains_key(&moment.number(4));
                assert!(
                    !is_ours || !moment.has(3, "MAP_SHARED") || !moment.has(2, "PROT_WRITE"),
                    "not replayed: {moment:?}"
                );
            }
            "link" | "linkat" | "symlink" | "symlinkat" | "truncate" | "openat2" | "creat" => {
                let names_ours = |argument: &Argument| matches!(argument, Argument::Bytes(bytes) if bytes.starts_with(self.root.as_os_str().as_encoded_bytes()));
                assert!(
                    !moment.arguments.iter().any(names_ours),
                    "not replayed: {moment:?}"
                );
            }
            _ => self.written(moment),
        }
    }

    fn opened(&mut self, moment: &Moment, path: PathBuf, flags: usize) {
        self.open.remove(&moment.result);
        assert!(!moment.has(flags, "O_TMPFILE"), "not replayed: {moment:?}");
        let Ok(inside) = path.strip_prefix(&self.root) else {
            return;
        };
        let node = match self.disk.find(inside) {
            Some(node) => {
                if moment.has(flags, "O_TRUNC") && self.disk.size(node) > 0 {
                    self.disk.truncate(node, 0);
                }
                node
            }
            None => {
                assert!(
                    moment.has(flags, "O_CREAT"),
                    "an unknown file was opened: {moment:?}"
                );
                let (folder, name) = self.parent(inside);
                self.disk.make(folder, &name, false)
            }
        };
        self.open.insert(
            moment.result,
            Open {
                node,
                path,
                at: 0,
                appends: moment.has(flags, "O_APPEND"),
            },
        );
    }

    fn made(&mut self, path: &Path) {
        let Ok(inside) = path.strip_prefix(&self.root) else {
            return;
        };
        let (folder, name) = self.parent(inside);
        self.disk.make(folder, &name, true);
    }

    /// Gives a file or folder another name in its folder, or none.
    fn renamed(&mut self, from: &Path, to: Option<&Path>) {
        let Ok(inside) = from.strip_prefix(&self.root) else {
            return;
        };
        let (folder, name) = self.parent(inside);
        let mut change = vec![(name, None)];
        if let Some(to) = to {
            assert_eq!(
                from.parent(),
                to.parent(),
                "not replayed: from one folder to another"
            );
            let (_, name) = self.parent(to.strip_prefix(&self.root).unwrap());
            change.push((name, self.disk.find(inside)));
        }
        self.disk.change_names(folder, change);
    }

    fn written(&mut self, moment: &Moment) {
        let Some(open) = self.open.get_mut(&moment.number(0)) else {
            return;
        };
        let count = moment.result as u64;
        match &*moment.name {
            "read" | "readv" => open.at += count,
            "lseek" => open.at = count,
            "write" => {
                let at = if open.appends {
                    self.disk.size(open.node)
                } else {
                    open.at
                };
                open.at = at + count;
                self.disk
                    .write(open.node, at, &moment.bytes(1)[..count as usize]);
            }
            "pwrite64" => self.disk.write(
                open.node,
                moment.number(3) as u64,
                &moment.bytes(1)[..count as usize],
            ),
            "ftruncate" => self.disk.truncate(open.node, moment.number(1) as u64),
            _ => panic!("not replayed: {moment:?}"),
        }
    }

    fn parent(&self, inside: &Path) -> (Node, String) {
        let folder = self
            .disk
            .find(inside.parent().unwrap())
            .expect("a folder that is known");
        (
            folder,
            inside.file_name().unwrap().to_str().unwrap().to_owned(),
        )
    }

    /// The path that two arguments name: an open folder, and a path in it.
    fn path(&self, moment: &Moment, at: usize) -> PathBuf {
        let path = self.path_of(moment.text(at + 1));
        if path.is_absolute() || moment.has(at, "AT_FDCWD") {
            return path;
        }
        self.open
            .get(&moment.number(at))
            .map_or(path.clone(), |folder| folder.path.join(path))
    }

    fn path_of(&self, text: &str) -> PathBuf {
        text.into()
    }
}
