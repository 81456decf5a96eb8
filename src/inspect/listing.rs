//! Which queues there are, as far as the kernel lets us see.

use super::{QueueReport, look};
use crate::{link::sys, name::QueueName};
use nix::errno::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt, fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
        },
    },
    path::{Path, PathBuf},
};

/// What was seen of the queues of this IPC namespace, and what was not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// By name.
    pub queues: Vec<Listed>,
    /// Queues whose names are gone: they live, and count against the limits, as long as somebody has them open. Every sender has
    /// one (POS-10).
    pub nameless: Vec<Nameless>,
    /// What could not be seen.
    pub unseen: Unseen,
}

/// A queue that has a name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub name: QueueName,
    /// The user who made it.
    pub uid: u32,
    /// Its permissions, with the sticky bit.
    pub mode: u32,
    /// The processes that have it open, of those that we may look into.
    pub open_in: Vec<u32>,
    /// All else; `None` when we may not open it.
    pub report: Option<QueueReport>,
}

/// A queue that has no name any more. What it holds cannot be asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Nameless {
    /// The name that it had.
    pub name: String,
    /// The user who made it.
    pub uid: u32,
    /// Its permissions, with the sticky bit.
    pub mode: u32,
    /// The processes that have it open.
    pub open_in: Vec<u32>,
}

/// Where a [`Listing`] comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// An mqueue file system that is mounted here.
    Mounted(PathBuf),
    /// The kernel's own directory, which root may open although it is mounted nowhere.
    Unmounted,
    /// Only what processes have open that we may look into.
    Processes,
}

/// What a [`Listing`] lacks; in words, if it is [anything](Self::is_anything).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unseen {
    /// Where the names come from.
    pub source: Source,
    /// Processes that we may not look into: what they have open, and whose names are gone, was not seen.
    pub processes: usize,
    /// Queues whose names are not text, which lamq never makes.
    pub odd_names: usize,
}

impl Unseen {
    /// Whether queues with names may be missing.
    pub fn names(&self) -> bool {
        self.source == Source::Processes
    }

    /// Whether anything may be missing.
    pub fn is_anything(&self) -> bool {
        self.names() || self.processes > 0 || self.odd_names > 0
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.names() {
            parts.push(
                "queues that no process has open, such as those of dead owners (no mqueue file system is mounted; root can: mkdir -p \
                 /dev/mqueue && mount -t mqueue none /dev/mqueue)"
                    .to_owned(),
            );
        }
        if self.processes > 0 {
            let what = if self.names() { "queues" } else { "queues without a name" };
            parts.push(format!("{what} that are open in {} processes of other users (root sees them)", self.processes));
        }
        if self.odd_names > 0 {
            parts.push(format!("{} queues whose names are not text", self.odd_names));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Lists the queues of this IPC namespace, and changes nothing.
pub fn list() -> Listing {
    let walk = walk();
    let directory = directory(&walk);
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    if let Some(directory) = &directory {
        names.extend(entries(&directory.path));
    } else {
        names.extend(walk.open.iter().filter(|open| !open.deleted).map(|open| open.name.clone()));
    }
    let mut device = directory.as_ref().and_then(|directory| device_of(&directory.path));
    let (mut queues, mut odd_names) = (Vec::new(), 0);
    for raw in names {
        let Some(name) = raw.to_str().and_then(|text| QueueName::new(format!("/{text}")).ok()) else {
            odd_names += 1;
            continue;
        };
        let openers = || walk.open.iter().filter(|open| !open.deleted && open.name == raw);
        let (uid, mode, id, report) = match look(&name) {
            Ok((report, status)) => (status.uid, status.mode, Some((status.device, status.inode)), Some(report)),
            Err(Errno::ENOENT) => continue, // gone meanwhile, or a file that only looks like a queue
            Err(_) => {
                let path = directory.as_ref().map(|directory| directory.path.join(&raw));
                let stat = path.and_then(|path| fs::metadata(path).ok()).map(|stat| (stat.uid(), stat.mode() & 0o7777));
                let Some((uid, mode)) = stat.or_else(|| openers().next().map(|open| (open.uid, open.mode))) else {
                    continue;
                };
                (uid, mode, None, None)
            }
        };
        if directory.is_none() && id.is_some_and(|id| openers().all(|open| open.id != id)) {
            continue; // not what was open there
        }
        device = device.or(id.map(|(device, _)| device));
        let open_in = pids(openers().filter(|open| id.is_none_or(|id| open.id == id)));
        queues.push(Listed { name, uid, mode, open_in, report });
    }
    let source = directory.map_or(Source::Processes, |directory| directory.source);
    let unseen = Unseen { source, processes: walk.hidden, odd_names };
    Listing { queues, nameless: nameless(&walk, device), unseen }
}

fn pids<'a>(open: impl Iterator<Item = &'a Open>) -> Vec<u32> {
    open.map(|open| open.pid).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The queues without names of our IPC namespace. Those of others, in containers say, are on other devices.
fn nameless(walk: &Walk, device: Option<u64>) -> Vec<Nameless> {
    let mut by_inode: BTreeMap<u64, Vec<&Open>> = BTreeMap::new();
    for open in walk.open.iter().filter(|open| open.deleted && Some(open.id.0) == device) {
        by_inode.entry(open.id.1).or_default().push(open);
    }
    let queues = by_inode.into_values().map(|open| Nameless {
        name: format!("/{}", open[0].name.to_string_lossy()),
        uid: open[0].uid,
        mode: open[0].mode,
        open_in: pids(open.into_iter()),
    });
    queues.collect()
}

/// A directory with the names of all queues of our IPC namespace.
struct Directory {
    path: PathBuf,
    source: Source,
    _descriptor: Option<OwnedFd>,
}

fn directory(walk: &Walk) -> Option<Directory> {
    let own = sys::open_directory().ok();
    let own_path = own.as_ref().map(|own| PathBuf::from(format!("/proc/self/fd/{}", own.as_raw_fd())));
    let own_device = own_path.as_deref().and_then(device_of);
    let is_ours = |path: &PathBuf| match own_device {
        Some(own) => device_of(path) == Some(own),
        None => fs::read_dir(path).is_ok() && shows_our_queues(path, walk),
    };
    if let Some(path) = mounts().into_iter().find(is_ours) {
        return Some(Directory { source: Source::Mounted(path.clone()), path, _descriptor: None });
    }
    Some(Directory { path: own_path?, source: Source::Unmounted, _descriptor: own })
}

/// Whether a mount is of our IPC namespace, not that of a container: by a queue that is there under the same name here. An empty one
/// is believed, unless a process has a queue open that should be there.
fn shows_our_queues(path: &Path, walk: &Walk) -> bool {
    let device = device_of(path);
    let in_place = |raw: &OsString| {
        let name = QueueName::new(format!("/{}", raw.to_str()?)).ok()?;
        match look(&name) {
            Ok((_, status)) => Some(Some(status.device) == device),
            Err(Errno::ENOENT) if path.join(raw).exists() => Some(false),
            Err(_) => None,
        }
    };
    let mut known = entries(path);
    known.extend(walk.open.iter().filter(|open| !open.deleted).map(|open| open.name.clone()));
    known.iter().find_map(in_place).unwrap_or(true)
}

fn device_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|stat| stat.dev())
}

fn entries(path: &Path) -> Vec<OsString> {
    fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}

/// Where mqueue file systems are mounted.
fn mounts() -> Vec<PathBuf> {
    mounts_in(&fs::read("/proc/self/mounts").unwrap_or_default())
}

fn mounts_in(table: &[u8]) -> Vec<PathBuf> {
    let mount = |line: &[u8]| {
        let mut words = line.split(|byte| *byte == b' ');
        let (_, path, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == b"mqueue").then(|| PathBuf::from(OsString::from_vec(unescaped(path))))
    };
    table.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// Blanks and the like are written as `\040` there.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let code = tail.get(..3).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => (bytes.push(byte), rest = &tail[3..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    bytes
}

/// A descriptor that may be of a queue: a link that is a name in a root directory.
struct Open {
    pid: u32,
    name: OsString,
    /// The name is gone.
    deleted: bool,
    /// Device and inode.
    id: (u64, u64),
    uid: u32,
    mode: u32,
}

/// What processes have open.
#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    /// Processes that we may not look into.
    hidden: usize,
}

fn walk() -> Walk {
    let mut walk = Walk::default();
    for pid in entries(Path::new("/proc")).iter().filter_map(|name| name.to_str()?.parse::<u32>().ok()) {
        match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(descriptors) => walk.open.extend(descriptors.filter_map(|entry| open(pid, &entry.ok()?.path()))),
            // A thread of the kernel has no arguments, and no queues.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                walk.hidden +=
                    usize::from(fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty()));
            }
            Err(_) => {} // it has ended
        }
    }
    walk
}

fn open(pid: u32, descriptor: &Path) -> Option<Open> {
    let link = fs::read_link(descriptor).ok()?;
    let name = link.as_os_str().as_bytes().strip_prefix(b"/")?;
    let (name, deleted) = name.strip_suffix(b" (deleted)").map_or((name, false), |name| (name, true));
    if name.is_empty() || name.contains(&b'/') {
        return None;
    }
    let stat = fs::metadata(descriptor).ok().filter(fs::Metadata::is_file)?;
    let name = OsString::from_vec(name.to_vec());
    Some(Open { pid, name, deleted, id: (stat.dev(), stat.ino()), uid: stat.uid(), mode: stat.mode() & 0o7777 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_wherever_it_is() {
        let table = b"none / ext4 rw 0 0\nnone /dev/mqueue mqueue rw 0 0\nnone /a\\040b\\134 mqueue rw 0 0\n";
        assert_eq!(mounts_in(table), [PathBuf::from("/dev/mqueue"), PathBuf::from("/a b\\")]);
    }
}
