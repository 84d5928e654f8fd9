//! What each file of the source imports from which other file, read from its `use` statements and paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The files of `src/`, by module path (`server::limit::limiter`), and what each says without comments and tests.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<String, Module>,
}

pub(crate) struct Module {
    pub(crate) code: String,
    /// Names that it hands out for modules below it: name and full path.
    reexports: BTreeMap<String, Vec<String>>,
}

impl Source {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut modules = BTreeMap::new();
        for path in files(&root) {
            let inside = path.strip_prefix(&root).unwrap().with_extension("");
            let mut names: Vec<_> = inside
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if names
                .last()
                .is_some_and(|last| last == "mod" || last == "lib")
            {
                names.pop();
            }
            let is_test = names
                .iter()
                .any(|name| name == "tests" || name == "against_axum");
            let text = fs::read_to_string(&path).unwrap();
            let code = if is_test {
                String::new()
            } else {
                without_comments_and_tests(&text)
            };
            let reexports = reexports(&code, &names);
            modules.insert(names.join("::"), Module { code, reexports });
        }
        assert!(modules.len() > 20, "the source was not found");
        Self { modules }
    }

    /// Which modules each module imports from. A door (`mod.rs`) that only hands a name out is looked through.
    pub(crate) fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let of = |(name, module): (&'_ String, &'_ Module)| -> BTreeSet<&str> {
            let paths = paths(&module.code, &segments(name));
            let found = paths.iter().filter_map(|path| self.home(path));
            found.filter(|home| home != name).collect()
        };
        self.modules
            .iter()
            .map(|(name, module)| (name.as_str(), of((name, module))))
            .collect()
    }

    /// The names that modules import from the crate's root, which only hands them out.
    pub(crate) fn through_the_root(&self) -> Vec<String> {
        let root = &self.modules[""].reexports;
        let of = |(name, module): (&String, &Module)| {
            let paths = paths(&module.code, &segments(name));
            let first = paths.into_iter().filter_map(|path| path.into_iter().next());
            let found = first.filter(|first| root.contains_key(first));
            found
                .map(|first| format!("{name} imports crate::{first}"))
                .collect::<Vec<_>>()
        };
        let inside = self.modules.iter().filter(|(name, _)| !name.is_empty());
        inside.flat_map(of).collect()
    }

    /// The module in which the item at a full path is defined.
    fn home(&self, path: &[String]) -> Option<&str> {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.modules.contains_key(&path[..*length].join("::")))?;
        let (name, module) = self.modules.get_key_value(&path[..length].join("::"))?;
        match path.get(length).and_then(|item| module.reexports.get(item)) {
            Some(target) if target != path => self.home(target),
            // The crate's root is a door and nothing else.
            _ => Some(name.as_str()).filter(|name| !name.is_empty()),
        }
    }
}

/// The full path of each name that a module uses of this crate, except those that it only hands out.
fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = String::new();
    for statement in statements(code) {
        match statement {
            Statement::Use { public: true, .. } => {}
            Statement::Use { tree, .. } => {
                found.extend(
                    flatten(&tree)
                        .iter()
                        .filter_map(|path| absolute(path, module)),
                );
            }
            Statement::Other(text) => rest.push_str(text),
        }
    }
    let word =
        |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    for path in rest.split(|character| !word(character)) {
        if path.starts_with("crate::") || path.starts_with("super::") || path.starts_with("self::")
        {
            found.extend(absolute(path.trim_end_matches(':'), module));
        }
    }
    found
}

fn reexports(code: &str, module: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for statement in statements(code) {
        if let Statement::Use { tree, .. } = statement {
            for path in flatten(&tree) {
                // In the root, a path without a beginning is one of the crate's own.
                let own = || module.is_empty().then(|| segments(&path));
                if let Some(full) = absolute(&path, module).or_else(own)
                    && full.len() > module.len() + 1
                    && full.starts_with(module)
                {
                    found.insert(full.last().unwrap().clone(), full);
                }
            }
        }
    }
    found
}

enum Statement<'a> {
    Use { tree: String, public: bool },
    Other(&'a str),
}

fn statements(code: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let mut rest = code;
    loop {
        let starts = |keyword: &str| {
            rest.match_indices(keyword)
                .map(|(at, _)| at)
                .find(|at| is_line_start(rest, *at))
        };
        let Some(at) = starts("use ") else { break };
        let Some(end) = rest[at..].find(';') else {
            break;
        };
        let line = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
        found.push(Statement::Other(&rest[..line]));
        let tree = rest[at + 4..at + end]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        found.push(Statement::Use {
            tree,
            public: rest[line..at].trim_start().starts_with("pub"),
        });
        rest = &rest[at + end + 1..];
    }
    found.push(Statement::Other(rest));
    found
}

/// Whether nothing but a visibility stands before this place in its line.
fn is_line_start(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[line..at].trim();
    before.is_empty() || before == "pub" || before.starts_with("pub(") && before.ends_with(')')
}

/// The paths of a `use` tree.
fn flatten(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inside)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return vec![path.to_owned()];
    };
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    let parts = inside.char_indices().chain([(inside.len(), ',')]);
    for (at, character) in parts {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inside[start..at].trim();
                start = at + 1;
                let below = if part.is_empty() {
                    Vec::new()
                } else {
                    flatten(part)
                };
                found.extend(below.into_iter().map(|path| match path.as_str() {
                    "self" => prefix.trim_end_matches("::").to_owned(),
                    path => format!("{prefix}{path}"),
                }));
            }
            _ => {}
        }
    }
    found
}

/// The full path of a relative one; `None` for another crate's.
fn absolute(path: &str, module: &[String]) -> Option<Vec<String>> {
    let parts = segments(path.trim_end_matches("::*"));
    let supers = parts.iter().take_while(|part| *part == "super").count();
    match parts.first().map(String::as_str) {
        Some("crate") => Some(parts[1..].to_vec()),
        Some("self") => Some([module, &parts[1..]].concat()),
        Some("super") => {
            let above = module.len().checked_sub(supers)?;
            Some([&module[..above], &parts[supers..]].concat())
        }
        _ => None,
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The lines of code up to the inline tests.
fn without_comments_and_tests(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("mod tests {"));
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    // A visibility is no import.
    code.map(|line| line.replace("pub(in crate::", "pub(in ::"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    below
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
