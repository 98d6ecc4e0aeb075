//! Which files are looked at.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Tree, deployment};

const MISSING: &str = "error credentials/secret-missing";

fn found(tree: &Tree, arguments: &[&str]) -> Vec<String> {
    let found = tree.findings(arguments);
    let place = |it: &String| it.split_once(':').unwrap().0.to_owned();
    found.iter().map(place).collect()
}

#[test]
fn what_git_ignores_is_left_out_but_for_a_folder_that_is_named() {
    let workload = deployment("w", "s");
    let tree = Tree::of(&[
        ("rendered/w.yaml", &workload),
        ("apps/W.YAML", &workload),
        (".gitignore", "rendered/\n"),
    ]);
    assert_eq!(found(&tree, &[]), [format!("{MISSING} apps/W.YAML")]);
    let named = found(&tree, &["rendered", "--root", "."]);
    assert_eq!(named, [format!("{MISSING} rendered/w.yaml")]);
    assert_eq!(tree.run(&["rendered"]).code, Some(1));
}

#[test]
fn patterns_of_exclude_are_those_of_gitignore() {
    let workload = deployment("w", "s");
    let tree = Tree::of(&[("a.yaml", &workload), ("b/d.yaml", &workload)]);
    let all_but_one = ["--exclude", "*.yaml", "--exclude", "!d.yaml"];
    assert_eq!(found(&tree, &all_but_one), [format!("{MISSING} b/d.yaml")]);
    assert_eq!(
        found(&tree, &["--exclude", "/b"]),
        [format!("{MISSING} a.yaml")]
    );
}

#[test]
fn links_are_followed_and_a_circle_of_them_ends() {
    let tree = Tree::of(&[("real/w.yaml", &deployment("w", "s"))]);
    fs::create_dir(tree.path().join("apps")).unwrap();
    symlink("../real", tree.path().join("apps/folder")).unwrap();
    symlink(".", tree.path().join("apps/circle")).unwrap();
    symlink("../gone.yaml", tree.path().join("apps/nowhere.yaml")).unwrap();
    let expected = format!("{MISSING} apps/folder/w.yaml");
    assert_eq!(found(&tree, &["apps", "--root", "."]), [expected]);
    assert_eq!(tree.run(&["apps"]).code, Some(1));
}

#[test]
fn what_has_a_name_of_its_own_and_a_link_is_told_of_once() {
    let tree = Tree::of(&[("real/w.yaml", &deployment("w", "s"))]);
    symlink("real", tree.path().join("linked")).unwrap();
    symlink("real/w.yaml", tree.path().join("again.yaml")).unwrap();
    let expected = format!("{MISSING} real/w.yaml");
    assert_eq!(found(&tree, &["."]), [expected]);
    let by_its_link = format!("{MISSING} again.yaml");
    assert_eq!(found(&tree, &["again.yaml", "--root", "."]), [by_its_link]);
}

#[test]
fn names_that_other_tools_fill_in_are_unseen() {
    for name in [
        "$SECRET",
        "${SECRET}",
        "$(SECRET)",
        "#{Secret}#",
        "__SECRET__",
    ] {
        let tree = Tree::of(&[("w.yaml", &deployment("w", &format!("'{name}'")))]);
        let report = tree.report(&["w.yaml"]);
        assert_eq!(
            report["unseen"].as_array().unwrap().len(),
            1,
            "{name}: {report}"
        );
        assert_eq!(report["findings"], serde_json::json!([]), "{name}");
    }
}

#[test]
fn what_is_to_be_checked_and_cannot_be_read_is_unseen() {
    let tree = Tree::of(&[("a/x.txt", ""), ("b/y.yaml", "a: 1"), ("c/x.yaml", "a: 1")]);
    let empty = tree.report(&["a", "--root", "."]);
    assert_eq!(empty["unseen"][0]["file"], "a", "{empty}");
    assert_eq!(tree.run(&["a"]).code, Some(3));
    let input = tree.with_input(&["-"], "Error: no such chart\n");
    assert_eq!(input.code, Some(3), "{}", input.stdout);
    assert_eq!(tree.with_input(&["-"], "").code, Some(3));

    // A file that even root cannot read.
    symlink("/proc/self/mem", tree.path().join("b/x.yaml")).unwrap();
    assert_eq!(tree.run(&["b"]).code, Some(3));
    assert_eq!(tree.run(&["c"]).code, Some(0));
    assert_eq!(tree.run(&["b/x.yaml"]).code, Some(2));
}

#[test]
fn a_pipe_of_the_shell_is_read() {
    let tree = Tree::of(&[("w.yaml", &deployment("w", "s"))]);
    let script = format!("{} check <(cat w.yaml)", env!("CARGO_BIN_EXE_keyguard"));
    let ended = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(tree.path())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert!(printed.contains("credentials/secret-missing"), "{printed}");
}

#[test]
fn what_is_no_version_and_no_secret_is_refused() {
    let tree = Tree::of(&[("x.yaml", "a: 1")]);
    for arguments in [
        &["--chart-version", "banana"][..],
        &["--secret", "*/name"],
        &["--secret", "namespace/na me"],
    ] {
        assert_eq!(tree.run(arguments).code, Some(2), "{arguments:?}");
    }
    let several = ["--secret", "codefresh/a, codefresh/b:token"];
    assert_eq!(tree.run(&several).code, Some(0));
}
