//! The collector on PostgreSQL, as the chart installs it, on the server of `tests/tools/postgresql/run`.

use std::env::{self, VarError};
use std::fs;
use std::process::Command;

use super::audit_installed::Installed;
use crate::control_plane::ControlPlane;

fn variable(name: &str) -> Result<String, VarError> {
    env::var(format!("KEYGUARD_POSTGRESQL{name}"))
}

fn control(command: &str) {
    let line = format!("{} {command}", variable("_CONTROL").unwrap());
    let status = Command::new("sh").args(["-c", &line]).status().unwrap();
    assert!(status.success(), "{line}");
}

#[test]
fn what_is_decided_while_postgresql_is_away_is_stored_once_it_is_back() {
    let store = variable("").unwrap();
    let plane = ControlPlane::bare();
    let mut installed = Installed::with(&plane, &["audit.database.secretName=store"], |kubectl| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &store).unwrap();
        let create = ["create", "secret", "generic", "store"];
        let from = format!("--from-file=url={}", file.path().display());
        let created = kubectl.run(create.into_iter().chain([from.as_str()]));
        created.expect_ok();
    });
    installed.refused();
    installed.await_refusals(1);

    control("stop");
    let refused = 1 + installed.refused_while_away();
    let collector = installed.collector.as_ref().unwrap();
    let said = collector.await_unready("the store");
    println!("{}", said.body);
    control("start");
    installed.await_refusals(refused);
    let collector = installed.collector.as_mut().unwrap();
    collector.await_ready();

    let said = installed.verified_at(&store);
    assert!(
        !said.contains("missing") && !said.contains("again"),
        "{said}"
    );
    installed.checked_by_fsck();
    let password = store.split([':', '@']).nth(2).unwrap();
    let collector = installed.collector.as_ref().unwrap();
    for pod in installed.release.pods.iter().chain([collector]) {
        let output = pod.output();
        assert!(!output.contains(password) && !output.contains("panic"));
    }
    println!("{refused} of {refused} stored; {said}");
}
