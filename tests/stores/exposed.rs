//! A password file that others may read.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tower_x402::replay::connect;

use crate::journal::Journal;

/// Checks that such a file is logged with its fix. Nothing may listen at the host and port of `url`.
pub(crate) async fn is_logged_with_its_fix(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "hunter2").unwrap();
    let path = file.display();
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let journal = Journal::begin();
        let connected = connect(&format!("{url}?password_file={path}")).await;
        assert!(connected.is_err());
        let lines = journal.lines();
        let said = format!(
            "every user of this machine may use the password `{path}`: run `chmod 600 {path}`"
        );
        assert_eq!(lines.matches(&said).count(), warnings, "{mode:o}: {lines}");
        assert!(!lines.contains("hunter2"), "{lines}");
    }
}
