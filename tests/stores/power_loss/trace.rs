//! What a process did to its files, read from the output of `strace`.

use std::{collections::HashMap, path::Path};

/// Returns the words to put before a command so that its system calls are written to `trace`. Each
/// of `faults` is a fault of `strace --inject`.
pub(super) fn words(trace: &Path, faults: &[String]) -> Vec<String> {
    let quiet = "--quiet=attach,exit,personality,superseded,thread-execve";
    // Reads are left out: a journal full of zeros would fill the trace.
    let mut words = [
        "strace",
        "-f",
        quiet,
        "-s",
        "4194304",
        "-e",
        "signal=none",
        "-e",
        "raw=read,readv",
        "-o",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(trace.to_str().unwrap().to_owned());
    words.extend(["-e".to_owned(), format!("trace={TRACED}")]);
    words.extend(
        faults
            .iter()
            .flat_map(|fault| ["-e".to_owned(), format!("inject={fault}")]),
    );
    words
}

/// Whatever may change a file or a folder, or where the next write goes.
const TRACED: &str = "open,openat,openat2,creat,close,dup,dup2,dup3,fcntl,read,readv,lseek,write,writev,pwrite64,pwritev,pwritev2,\
     ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,sync,syncfs,msync,mmap,rename,renameat,renameat2,link,linkat,\
     symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,copy_file_range,sendfile,splice,io_uring_setup,io_submit";

/// The begin or the end of a system call. A call has done its work by its end. A sync covers what
/// was done by its begin.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) ends: bool,
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    /// The result, -1 for an error. At the begin it is 0, and only the first argument is known.
    pub(super) result: i64,
}

#[derive(Debug)]
pub(super) enum Argument {
    Bytes(Vec<u8>),
    Word(String),
}

impl Argument {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Bytes(_) => None,
        }
    }
}

impl Moment {
    /// Whether it may have changed what a loss of power leaves.
    pub(super) fn changes(&self) -> bool {
        let changes = match &*self.name {
            "write" => self.number(0) > 2,
            "open" | "openat" => self.has(1, "O_CREAT") || self.has(2, "O_CREAT"),
            "close" | "dup" | "fcntl" | "lseek" | "mmap" | "read" => false,
            _ => true,
        };
        changes && self.ends && self.result >= 0
    }

    /// Whether it is a write or a sync of a file that failed because of an injected fault.
    pub(super) fn is_fault(&self) -> bool {
        self.result < 0 && matches!(&*self.name, "fdatasync" | "write") && self.number(0) > 2
    }

    pub(super) fn number(&self, at: usize) -> i64 {
        let word = self.arguments[at].word();
        word.and_then(number)
            .unwrap_or_else(|| panic!("expected a number: {self:?}"))
    }

    pub(super) fn bytes(&self, at: usize) -> &[u8] {
        match &self.arguments[at] {
            Argument::Bytes(bytes) => bytes,
            Argument::Word(_) => panic!("expected bytes: {self:?}"),
        }
    }

    pub(super) fn text(&self, at: usize) -> &str {
        std::str::from_utf8(self.bytes(at)).unwrap()
    }

    /// Flags as they are written, such as `O_RDWR|O_CREAT`.
    pub(super) fn has(&self, at: usize, flag: &str) -> bool {
        self.arguments
            .get(at)
            .and_then(Argument::word)
            .is_some_and(|word| word.split('|').any(|one| one == flag))
    }
}

/// All moments, in order.
pub(super) fn read(trace: &[u8]) -> Vec<Moment> {
    let (mut moments, mut begun) = (
        Vec::new(),
        HashMap::<Vec<u8>, (String, Vec<Argument>)>::new(),
    );
    for line in trace
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let (process, call) =
            split(line, b" ").unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(line)));
        let call = call.trim_ascii_start();
        if call.starts_with(b"+++") || call.starts_with(b"---") {
            continue;
        }
        let (name, arguments, rest) = if call.starts_with(b"<... ") {
            let (_, rest) = split(call, b" resumed>").unwrap();
            let (name, mut arguments) = begun.remove(process).unwrap();
            let (more, rest) = read_arguments(rest);
            arguments.extend(more);
            (name, arguments, rest)
        } else {
            let (name, rest) =
                split(call, b"(").unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(line)));
            let (arguments, rest) = read_arguments(rest);
            let name = String::from_utf8(name.to_vec()).unwrap();
            let first = arguments
                .first()
                .and_then(Argument::word)
                .map(|word| Argument::Word(word.to_owned()));
            moments.push(Moment {
                ends: false,
                name: name.clone(),
                arguments: first.into_iter().collect(),
                result: 0,
            });
            (name, arguments, rest)
        };
        match split(rest, b"= ") {
            Some((_, result)) => moments.push(Moment {
                ends: true,
                name,
                arguments,
                result: read_result(result),
            }),
            None => drop(begun.insert(process.to_vec(), (name, arguments))),
        }
    }
    moments
}

/// Arguments up to the closing bracket, or to where the line was broken off, and what comes after.
fn read_arguments(mut rest: &[u8]) -> (Vec<Argument>, &[u8]) {
    let mut arguments = Vec::new();
    loop {
        rest = rest.strip_prefix(b", ").unwrap_or(rest).trim_ascii_start();
        if rest.is_empty() || rest.starts_with(b")") || rest.starts_with(b"<unfinished") {
            return (arguments, rest);
        }
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (bytes, after) = read_bytes(quoted);
            assert!(!after.starts_with(b"..."), "strace cut a write short");
            arguments.push(Argument::Bytes(bytes));
            rest = after;
        } else {
            let mut depth = 0;
            let end = rest.iter().position(|byte| {
                depth += i32::from(matches!(byte, b'[' | b'{' | b'('))
                    - i32::from(matches!(byte, b']' | b'}' | b')'));
                depth < 0 || depth == 0 && *byte == b',' || *byte == b'<'
            });
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            arguments.push(Argument::Word(
                String::from_utf8_lossy(word.trim_ascii()).into_owned(),
            ));
            rest = after;
        }
    }
}

/// A string as in C, up to its closing quote, and what comes after.
fn read_bytes(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut bytes = Vec::new();
    loop {
        let plain = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))
            .unwrap();
        bytes.extend_from_slice(&rest[..plain]);
        let escaped = rest[plain + 1];
        rest = &rest[plain..];
        if rest[0] == b'"' {
            return (bytes, &rest[1..]);
        }
        let octal = rest[1..]
            .iter()
            .take(3)
            .take_while(|byte| matches!(byte, b'0'..=b'7'))
            .count();
        bytes.push(match escaped {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 11,
            b'f' => 12,
            b'0'..=b'7' => rest[1..=octal]
                .iter()
                .fold(0, |value: u8, digit| value.wrapping_mul(8) + (digit - b'0')),
            other => other,
        });
        rest = &rest[1 + octal.max(1)..];
    }
}

fn read_result(result: &[u8]) -> i64 {
    let result = String::from_utf8_lossy(result);
    let first = result.split(' ').next().unwrap();
    number(first).unwrap_or_else(|| panic!("expected a result: {result}"))
}

fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
        None if word == "?" => Some(-1),
        None => word.parse().ok(),
    }
}

fn split<'a>(line: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = line.windows(at.len()).position(|window| window == at)?;
    Some((&line[..start], &line[start + at.len()..]))
}
