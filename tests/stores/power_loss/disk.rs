//! A disk under a page cache, and what a loss of power leaves of it.
//!
//! It promises what POSIX does and no more. What a file holds is safe after a sync of that file. A
//! name is safe after a sync of its folder; a sync of the file is not enough. Of what is not safe,
//! each sector of 512 bytes may have reached the disk in any state since the last sync, in any
//! order; names reach it in the order in which their folder changed. After a sync that failed, each
//! page that it should have written may count as clean although it was not written: it is lost
//! unless it is written again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::FileExt,
    path::Path,
};

use super::dice::Dice;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

type Page = Box<[u8; PAGE]>;

/// Names a file or folder, whatever it is called.
pub(super) type Node = usize;

#[derive(Debug)]
pub(super) struct Disk {
    nodes: Vec<Kind>,
    /// Decides which pages a failed sync loses.
    dice: Dice,
}

#[derive(Debug)]
enum Kind {
    File(File),
    Folder(Folder),
}

#[derive(Debug, Default)]
struct File {
    pages: BTreeMap<u64, Cached>,
    dirty: BTreeSet<u64>,
    size: u64,
    safe_size: u64,
    /// What it was after each change since the last sync; all but the first few of these were made
    /// during a sync.
    sizes: Vec<u64>,
    syncing: usize,
}

#[derive(Debug)]
struct Cached {
    now: Page,
    safe: Option<Page>,
    /// What it was after each change since the last sync.
    versions: Vec<Page>,
    syncing: usize,
}

#[derive(Debug, Default)]
struct Folder {
    now: BTreeMap<String, Node>,
    safe: BTreeMap<String, Node>,
    changes: Vec<Vec<(String, Option<Node>)>>,
    syncing: usize,
}

/// What survives of changes that are not safe.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Gone,
    Kept,
    /// Each part by chance.
    Torn,
}

impl Disk {
    pub(super) const ROOT: Node = 0;

    /// A disk that holds safely what `folder` does.
    pub(super) fn holding(folder: &Path, dice: Dice) -> Self {
        let mut disk = Self {
            nodes: Vec::new(),
            dice,
        };
        disk.take_in(folder);
        disk
    }

    fn take_in(&mut self, path: &Path) -> Node {
        let node = self.nodes.len();
        if path.is_dir() {
            self.nodes.push(Kind::Folder(Folder::default()));
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                let inside = self.take_in(&entry.path());
                self.change_names(
                    node,
                    vec![(entry.file_name().into_string().unwrap(), Some(inside))],
                );
            }
        } else {
            self.nodes.push(Kind::File(File::default()));
            let bytes = fs::read(path).unwrap();
            for (number, page) in bytes
                .chunks(PAGE)
                .enumerate()
                .filter(|(_, page)| **page != [0; PAGE][..page.len()])
            {
                self.write(node, (number * PAGE) as u64, page);
            }
            self.truncate(node, bytes.len() as u64);
        }
        self.begin_sync(node);
        self.end_sync(node, true);
        node
    }

    pub(super) fn find(&self, path: &Path) -> Option<Node> {
        path.iter()
            .try_fold(Self::ROOT, |node, name| match &self.nodes[node] {
                Kind::Folder(folder) => folder.now.get(name.to_str()?).copied(),
                Kind::File(_) => None,
            })
    }

    pub(super) fn make(&mut self, inside: Node, name: &str, is_folder: bool) -> Node {
        let node = self.nodes.len();
        self.nodes.push(if is_folder {
            Kind::Folder(Folder::default())
        } else {
            Kind::File(File::default())
        });
        self.change_names(inside, vec![(name.to_owned(), Some(node))]);
        node
    }

    /// Changes names in a folder, all at once.
    pub(super) fn change_names(&mut self, folder: Node, change: Vec<(String, Option<Node>)>) {
        let folder = self.folder(folder);
        apply(&mut folder.now, &change);
        folder.changes.push(change);
    }

    pub(super) fn size(&self, file: Node) -> u64 {
        match &self.nodes[file] {
            Kind::File(file) => file.size,
            Kind::Folder(_) => 0,
        }
    }

    pub(super) fn write(&mut self, file: Node, at: u64, mut bytes: &[u8]) {
        let end = at + bytes.len() as u64;
        let file = self.file(file);
        let mut at = at;
        while !bytes.is_empty() {
            let inside = (at % PAGE as u64) as usize;
            let (part, rest) = bytes.split_at(bytes.len().min(PAGE - inside));
            file.change_page(at / PAGE as u64, |page| {
                page[inside..inside + part.len()].copy_from_slice(part)
            });
            (at, bytes) = (at + part.len() as u64, rest);
        }
        if end > file.size {
            file.set_size(end);
        }
    }

    pub(super) fn truncate(&mut self, file: Node, size: u64) {
        let file = self.file(file);
        let (first, inside) = (size / PAGE as u64, (size % PAGE as u64) as usize);
        let cut: Vec<u64> = file
            .pages
            .range(first..)
            .map(|(number, _)| *number)
            .collect();
        for number in cut {
            let start = if number == first { inside } else { 0 };
            if file.pages[&number].now[start..]
                .iter()
                .any(|byte| *byte != 0)
            {
                file.change_page(number, |page| page[start..].fill(0));
            }
        }
        file.set_size(size);
    }

    pub(super) fn begin_sync(&mut self, node: Node) {
        match &mut self.nodes[node] {
            Kind::Folder(folder) => folder.syncing = folder.changes.len(),
            Kind::File(file) => {
                file.syncing = file.sizes.len();
                for number in &file.dirty {
                    let page = file.pages.get_mut(number).unwrap();
                    page.syncing = page.versions.len();
                }
            }
        }
    }

    pub(super) fn end_sync(&mut self, node: Node, succeeded: bool) {
        let dice = &mut self.dice;
        match &mut self.nodes[node] {
            Kind::Folder(folder) if succeeded => {
                for change in folder.changes.drain(..folder.syncing) {
                    apply(&mut folder.safe, &change);
                }
            }
            Kind::Folder(_) => {}
            Kind::File(file) => {
                if succeeded && let Some(size) = file.sizes.drain(..file.syncing).next_back() {
                    file.safe_size = size;
                }
                file.dirty.retain(|number| {
                    let page = file.pages.get_mut(number).unwrap();
                    if succeeded || dice.one_in(2) {
                        page.safe = page
                            .versions
                            .drain(..page.syncing)
                            .next_back()
                            .or(page.safe.take());
                    } else {
                        let lost = page.torn(dice, page.syncing);
                        page.safe = Some(lost);
                        page.versions.drain(..page.syncing);
                    }
                    page.syncing = 0;
                    !page.versions.is_empty()
                });
            }
        }
    }

    /// Writes into the new folder `target` what may be left if the power is lost now.
    pub(super) fn leave(&self, target: &Path, fate: Fate, dice: &mut Dice) {
        self.leave_node(Self::ROOT, target, fate, dice);
    }

    fn leave_node(&self, node: Node, target: &Path, fate: Fate, dice: &mut Dice) {
        // One file may keep everything and the next nothing.
        let own = match fate {
            Fate::Torn => [Fate::Gone, Fate::Kept, Fate::Torn, Fate::Torn][dice.below(4)],
            other => other,
        };
        match &self.nodes[node] {
            Kind::File(file) => file.leave(target, own, dice),
            Kind::Folder(folder) => {
                let mut names = folder.safe.clone();
                folder
                    .changes
                    .iter()
                    .take(own.survivors(folder.changes.len(), dice))
                    .for_each(|change| apply(&mut names, change));
                fs::create_dir(target).unwrap();
                names.iter().for_each(|(name, node)| {
                    self.leave_node(*node, &target.join(name), fate, dice)
                });
            }
        }
    }

    fn file(&mut self, node: Node) -> &mut File {
        match &mut self.nodes[node] {
            Kind::File(file) => file,
            Kind::Folder(_) => panic!("a file was expected"),
        }
    }

    fn folder(&mut self, node: Node) -> &mut Folder {
        match &mut self.nodes[node] {
            Kind::Folder(folder) => folder,
            Kind::File(_) => panic!("a folder was expected"),
        }
    }
}

impl File {
    fn change_page(&mut self, number: u64, change: impl FnOnce(&mut [u8; PAGE])) {
        let empty = || Cached {
            now: Box::new([0; PAGE]),
            safe: None,
            versions: Vec::new(),
            syncing: 0,
        };
        let page = self.pages.entry(number).or_insert_with(empty);
        change(&mut page.now);
        page.versions.push(page.now.clone());
        self.dirty.insert(number);
    }

    fn set_size(&mut self, size: u64) {
        self.size = size;
        self.sizes.push(size);
    }

    fn leave(&self, target: &Path, fate: Fate, dice: &mut Dice) {
        let sizes = fate.survivors(self.sizes.len(), dice);
        let size = sizes
            .checked_sub(1)
            .map_or(self.safe_size, |last| self.sizes[last]);
        let file = fs::File::create_new(target).unwrap();
        for (number, page) in &self.pages {
            let left = match fate {
                Fate::Torn => Some(page.torn(dice, page.versions.len())),
                Fate::Kept if !page.versions.is_empty() => page.versions.last().cloned(),
                _ => page.safe.clone(),
            };
            if let Some(left) = left {
                file.write_all_at(&*left, number * PAGE as u64).unwrap();
            }
        }
        file.set_len(size).unwrap();
    }
}

impl Cached {
    /// The page with each sector as it was after any of so many changes, or before them.
    fn torn(&self, dice: &mut Dice, changes: usize) -> Page {
        let mut torn = self.safe.clone().unwrap_or_else(|| Box::new([0; PAGE]));
        if changes > 0 {
            for sector in (0..PAGE).step_by(SECTOR).map(|start| start..start + SECTOR) {
                if let Some(version) = dice.below(changes + 1).checked_sub(1) {
                    torn[sector.clone()].copy_from_slice(&self.versions[version][sector]);
                }
            }
        }
        torn
    }
}

impl Fate {
    /// How many changes survive, of so many that come one after the other.
    fn survivors(self, changes: usize, dice: &mut Dice) -> usize {
        match self {
            Self::Gone => 0,
            Self::Kept => changes,
            Self::Torn => dice.below(changes + 1),
        }
    }
}

fn apply(names: &mut BTreeMap<String, Node>, change: &[(String, Option<Node>)]) {
    for (name, node) in change {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}
