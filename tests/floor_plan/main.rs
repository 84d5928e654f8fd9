//! The floor plan, executed: which room may import which, which foreign crate lives where, how long
//! a file may be, and what it may be called.

mod circles;
mod imports;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each room and the rooms that it may import from.
const ROOMS: &[(&str, &[&str])] = &[
    ("body", &["lock"]),
    ("boxed", &[]),
    ("clock", &[]),
    ("codec", &[]),
    ("lock", &[]),
    ("recent", &[]),
    ("trace", &[]),
    ("exposed", &["trace"]),
    ("journal", &["lock", "trace"]),
    ("payment", &["clock", "codec"]),
    ("dialect", &["clock", "codec", "lock", "payment"]),
    (
        "lightning",
        &[
            "boxed", "clock", "codec", "exposed", "lock", "payment", "trace",
        ],
    ),
    (
        "replay",
        &[
            "boxed", "clock", "codec", "exposed", "journal", "lock", "payment", "recent", "trace",
        ],
    ),
    (
        "ledger",
        &[
            "boxed", "clock", "codec", "journal", "lock", "payment", "trace",
        ],
    ),
    (
        "client",
        &[
            "body",
            "boxed",
            "clock",
            "codec",
            "dialect",
            "ledger",
            "lightning",
            "lock",
            "payment",
            "trace",
        ],
    ),
    (
        "server",
        &[
            "body",
            "boxed",
            "clock",
            "codec",
            "dialect",
            "exposed",
            "lightning",
            "lock",
            "payment",
            "recent",
            "replay",
            "trace",
        ],
    ),
    (
        "facilitator",
        &[
            "body", "boxed", "clock", "codec", "dialect", "lock", "payment", "replay", "trace",
        ],
    ),
    ("extract", &["lock", "payment", "trace"]),
    ("internals", &["codec", "dialect", "replay", "server"]),
];

/// Foreign crates with an opinion, and their one home.
const HOMES: &[(&str, &[&str])] = &[
    (
        "lightning_invoice",
        &["payment/invoice", "lightning/devnet"],
    ),
    (
        "secp256k1",
        &["payment/invoice", "lightning/devnet", "codec/"],
    ),
    ("bitcoin", &["lightning/devnet"]),
    ("lightning_net_tokio", &["lightning/devnet"]),
    ("base64_simd", &["codec/"]),
    ("const_hex", &["codec/"]),
    ("serde_jcs", &["codec/"]),
    ("memchr", &["codec/"]),
    ("fjall", &["journal"]),
    ("xxhash_rust", &["journal"]),
    ("matchit", &["server/routes/matching"]),
    (
        "axum",
        &[
            "server/axum_layer",
            "server/origin",
            "server/address",
            "extract",
        ],
    ),
    ("axum_core", &["extract"]),
    ("hyper", &["lightning/rest"]),
    ("hyper_rustls", &["lightning/rest"]),
    ("hyper_util", &["client/resolver", "lightning/rest"]),
    ("psl", &["client/place"]),
    (
        "rustls",
        &[
            "client/reqwest",
            "lightning/nwc",
            "lightning/rest",
            "replay/redis",
            "replay/postgres/url",
        ],
    ),
    ("redis", &["replay/redis"]),
    ("webpki", &["lightning/rest"]),
    ("reqwest", &["client/reqwest"]),
    ("ldk_node", &["lightning/ldk"]),
    ("nostr", &["lightning/nwc"]),
    ("tokio_postgres", &["replay/postgres"]),
    ("tokio_postgres_rustls", &["replay/postgres/url"]),
    ("tokio_tungstenite", &["lightning/nwc"]),
];

const DIALECTS: [&str; 3] = ["l402", "mpp", "x402"];

const BANNED_NAMES: &[&str] = &[
    "util", "utils", "common", "helpers", "types", "misc", "handy", "manager", "impls",
];

#[test]
fn rooms_import_only_downwards() {
    check(|file, room, line, faults| {
        let allowed = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            return faults.push(format!("{room} is no room of the plan"));
        };
        for (other, _) in ROOMS
            .iter()
            .filter(|(other, _)| *other != room && !allowed.contains(other))
        {
            if names(line, "crate", other) {
                faults.push(format!("{file}: {room} may not import {other}"));
            }
        }
    });
}

#[test]
fn no_room_imports_the_client() {
    let source = imports::Source::read();
    let is_client = |module: &str| module == "client" || module.starts_with("client::");
    let faults: Vec<_> = source
        .imports()
        .into_iter()
        .filter(|(file, homes)| !is_client(file) && homes.iter().any(|home| is_client(home)))
        .map(|(file, _)| file.to_owned())
        .collect();
    assert!(source.modules.contains_key("client"), "it was not found");
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn a_dialect_names_no_other_dialect() {
    check(|file, _, line, faults| {
        let Some(own) = DIALECTS
            .iter()
            .find(|own| file.contains(&format!("dialect/{own}/")))
        else {
            return;
        };
        for other in DIALECTS.iter().filter(|other| *other != own) {
            if names(line, "crate", other)
                || names(line, "dialect", other)
                || names(line, "super::super", other)
            {
                faults.push(format!("{file}: {own} may not name {other}"));
            }
        }
    });
}

#[test]
fn foreign_crates_live_in_their_one_home() {
    check(|file, _, line, faults| {
        for (foreign, homes) in HOMES {
            let used = line.starts_with(&format!("use {foreign}::"))
                || line.contains(&format!(" {foreign}::"))
                || line.contains(&format!("({foreign}::"));
            if used
                && !line.contains("crate::")
                && !homes
                    .iter()
                    .any(|home| file.contains(&format!("src/{home}")))
            {
                faults.push(format!("{file}: {foreign} lives in {homes:?}"));
            }
        }
    });
}

#[test]
fn only_verify_makes_a_proof_and_only_settle_a_receipt() {
    check(|file, _, line, faults| {
        let makes_proof = line.contains("Proof {")
            && !line.contains("struct")
            && !line.contains("impl")
            && !line.contains("->");
        if makes_proof
            && !["/verify", "/claim", "payment/receipt"]
                .iter()
                .any(|home| file.contains(home))
        {
            faults.push(format!(
                "{file}: only a dialect's verify or claim makes a Proof"
            ));
        }
        if line.contains("PaymentReceipt::new(")
            && !file.contains("server/request/settle")
            && !file.contains("conformance")
        {
            faults.push(format!("{file}: only settle makes a PaymentReceipt"));
        }
    });
}

#[test]
fn nothing_is_public_and_hidden_but_the_internals() {
    let (hidden, gate) = ("doc(hidden)", "#[cfg(feature = \"__internals\")]\n");
    check(|file, _, line, faults| {
        if line.contains(hidden) {
            faults.push(format!("{file}: hand it out in src/internals.rs"));
        }
    });
    let root = fs::read_to_string(source().join("lib.rs")).unwrap();
    let doors: Vec<_> = root.match_indices(hidden).collect();
    assert_eq!(doors.len(), 1, "lib.rs hides one module");
    let door = format!("{gate}#[{hidden}]\npub mod internals;\n");
    assert!(root.contains(&door), "the internals need their feature");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let (features, _) = manifest.split_once("\n__internals = ").unwrap();
    assert!(
        !features.contains("\"__internals\""),
        "no other feature turns it on"
    );
}

#[test]
fn the_page_of_the_floor_plan_says_what_holds() {
    let page = fs::read_to_string(source().join("docs/floor_plan.md")).unwrap();
    let cell = |text: &str| {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let told: Vec<(String, Vec<String>)> = rows
        .map(|row| row.trim_matches('|').split('|').collect::<Vec<_>>())
        .map(|row| (row[0].trim().trim_matches('`').to_owned(), cell(row[2])))
        .collect();
    let planned: Vec<(String, Vec<String>)> = ROOMS
        .iter()
        .map(|(room, allowed)| {
            let allowed = allowed.iter().map(|other| (*other).to_owned());
            ((*room).to_owned(), allowed.collect())
        })
        .collect();
    assert_eq!(told, planned);
    let names = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('/'));
    let names = names.filter(|name| !name.starts_with("tests/") && !name.starts_with("/"));
    for name in names.flat_map(|name| match name.split_once('*') {
        Some((before, after)) => DIALECTS.map(|own| format!("{before}{own}{after}")).to_vec(),
        None => vec![name.to_owned()],
    }) {
        assert!(source().join(&name).exists(), "{name} is not there");
    }
}

#[test]
fn no_file_is_longer_than_four_hundred_lines_or_named_for_nothing() {
    let mut faults = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = ["tests", "examples", "benches"].map(|folder| root.join(folder));
    for path in others
        .iter()
        .flat_map(|folder| files_in(folder))
        .chain(files())
    {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > 400 {
            faults.push(format!("{} has {lines} lines", path.display()));
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if BANNED_NAMES.contains(&&*stem) {
            faults.push(format!("{}: {stem} is not one thing", path.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Shows each line of code, with `file:line` and its room, to `rule`.
fn check(rule: impl Fn(&str, &str, &str, &mut Vec<String>)) {
    let mut faults = Vec::new();
    let source = source();
    for path in files() {
        let inside = path.strip_prefix(&source).unwrap();
        let room = inside
            .iter()
            .next()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned();
        if room == "lib" || room == "docs" {
            continue;
        }
        let is_test = inside
            .iter()
            .any(|part| part == "tests" || part == "tests.rs" || part == "against_axum.rs");
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let line = line.trim_start();
            if is_test || line.starts_with("mod tests {") {
                break; // tests may look anywhere
            }
            if !line.starts_with("//") {
                let place = format!("src/{}:{}", inside.display(), number + 1);
                rule(&place, &room, line, &mut faults);
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Whether a line names `root::room`, also inside the braces of a list.
fn names(line: &str, root: &str, room: &str) -> bool {
    line.contains(&format!("{root}::{room}::"))
        || line.contains(&format!("{root}::{room};"))
        || line.contains(&format!("{root}::{{"))
            && line
                .split(['{', ',', ' '])
                .any(|word| word.starts_with(&format!("{room}::")))
        || root == "crate"
            // Other rooms have modules of this name.
            && room != "client"
            && line.starts_with(&format!("{room}::"))
            && line.ends_with([',', '{'])
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files() -> Vec<PathBuf> {
    let found = files_in(&source());
    assert!(found.len() > 20, "the source was not found");
    found
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("target") => {}
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => {
                    found.push(path)
                }
                false => {}
            }
        }
    }
    found
}
