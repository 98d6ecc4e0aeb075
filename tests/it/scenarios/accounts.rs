//! Changes of `argocd-cm`, by every way in which people write them.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, merged};
use super::said::{refused_by, warned_of};
use crate::control_plane::kubectl::Finished;

const CONFIG_MAP: &str = "configmap/argocd-cm";

/// What the Helm chart of Argo CD installs, and two further accounts.
fn good() -> Value {
    argocd_cm(&json!({
        "accounts.admin": "apiKey, login",
        "accounts.bot": "apiKey, login",
        "accounts.carol": "login",
        "admin.enabled": "true",
        "url": "https://argocd.example.com",
    }))
}

/// A scene with the [`good`] one, as `kubectl apply` stores it.
fn scene(guard: &Guard, prefix: &str) -> Scene {
    let scene = guard.scene(prefix);
    warned_of(scene.send(["apply"], &good()), &[]);
    scene
}

fn patch(scene: &Scene, patch: &Value) -> Finished {
    let patch = format!("--patch={patch}");
    scene
        .alice()
        .run(["patch", CONFIG_MAP, "--type=merge", &patch])
}

/// A change of `argocd-cm` as a merge patch, the rules that refuse it, and
/// what the person must read.
type Loss = (Value, &'static [&'static str], &'static str);

/// Every loss by every way of writing it: a merge patch, a JSON patch, the
/// whole object by `apply` and by `replace`. Nothing of it is ever stored.
fn refuses_however_it_is_written(guard: &Guard, losses: &[Loss]) {
    let scene = scene(guard, "loss");
    let before = scene.read(CONFIG_MAP, "{.metadata.resourceVersion}");
    for (change, expected, what) in losses {
        let wanted = merged(&good(), change);
        let labels = &wanted["metadata"]["labels"];
        let json_patch = json!([
            {"op": "replace", "path": "/data", "value": wanted["data"]},
            {"op": "replace", "path": "/metadata/labels", "value": labels},
        ]);
        let json_patch = format!("--patch={json_patch}");
        let json_patch = ["patch", CONFIG_MAP, "--type=json", &json_patch];
        for finished in [
            patch(&scene, change),
            scene.alice().run(json_patch),
            scene.send(["apply"], &wanted),
            scene.send(["replace"], &wanted),
        ] {
            let refusal = refused_by(finished, expected);
            assert!(refusal.contains(what), "{what}: {refusal}");
        }
    }
    let after = scene.read(CONFIG_MAP, "{.metadata.resourceVersion}");
    assert_eq!(before, after);
}

#[test]
fn a_loss_of_the_api_key_is_refused_however_it_is_written() {
    let data = |data: Value| json!({"data": data});
    let losses: [Loss; 8] = [
        (
            data(json!({"accounts.admin": "login"})),
            &["accounts/api-key-removed"],
            r#"(data["accounts.admin"]: "apiKey, login" → "login")"#,
        ),
        (
            data(json!({"accounts.admin": null})),
            &["accounts/api-key-removed"],
            r#"(data["accounts.admin"]: "apiKey, login" → not set)"#,
        ),
        (
            data(json!({"accounts.admin": "apikey, login"})),
            &["accounts/api-key-removed"],
            r#"→ "apikey, login")"#,
        ),
        (
            data(json!({"admin.enabled": "false"})),
            &["accounts/account-disabled"],
            r#"(data["admin.enabled"]: "true" → "false")"#,
        ),
        (
            data(json!({"accounts.admin.enabled": "0"})),
            &["accounts/account-disabled"],
            r#"(data["accounts.admin.enabled"]: not set → "0")"#,
        ),
        (
            data(json!({"accounts.carol.enabled": "maybe"})),
            &["accounts/unreadable"],
            r#"cannot parse data["accounts.carol.enabled"] ("maybe")"#,
        ),
        (
            json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "other"}}}),
            &["accounts/label-missing"],
            r#"metadata.labels["app.kubernetes.io/part-of"]"#,
        ),
        (
            data(json!({"accounts.admin": "login", "admin.enabled": "f"})),
            &["accounts/account-disabled", "accounts/api-key-removed"],
            "is switched off",
        ),
    ];
    refuses_however_it_is_written(Guard::shared(), &losses);
}

#[test]
fn a_protected_account_besides_admin_keeps_its_login_too() {
    let data = |data: Value| json!({"data": data});
    let guard = Guard::configured("protectedAccounts: [admin, bot]");
    let losses: [Loss; 4] = [
        (
            data(json!({"accounts.bot": "apiKey"})),
            &["accounts/login-removed"],
            "loses login",
        ),
        (
            data(json!({"accounts.bot": null})),
            &["accounts/api-key-removed", "accounts/login-removed"],
            "loses apiKey",
        ),
        (
            data(json!({"accounts.bot.enabled": "F"})),
            &["accounts/account-disabled"],
            "is switched off",
        ),
        (
            data(json!({"accounts.admin": null, "accounts.bot": "apiKey"})),
            &["accounts/api-key-removed", "accounts/login-removed"],
            "loses apiKey",
        ),
    ];
    refuses_however_it_is_written(&guard, &losses);
    let scene = scene(&guard, "login");
    let login_of_admin = data(json!({"accounts.admin": "apiKey"}));
    warned_of(patch(&scene, &login_of_admin), &[]);
}

#[test]
fn a_manager_that_no_longer_applies_its_field_is_refused() {
    let scene = Guard::shared().scene("applied");
    let apply = |manager, object: &Value| {
        let manager = format!("--field-manager={manager}");
        scene.send(["apply", "--server-side", &manager], object)
    };
    warned_of(apply("argocd", &good()), &[]);
    let dropped = merged(&good(), &json!({"data": {"accounts.admin": null}}));
    refused_by(apply("argocd", &dropped), &["accounts/api-key-removed"]);
    let owner = scene.read(CONFIG_MAP, "{.metadata.managedFields[*].manager}");
    assert_eq!(owner, "argocd");

    // Another manager that never had the field drops nothing.
    let other = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm"},
        "data": {"kustomize.enabled": "true"},
    });
    warned_of(apply("other", &other), &[]);
}

#[test]
fn what_takes_nothing_from_a_protected_account_goes_through_in_silence() {
    let guard = Guard::shared();
    let scene = scene(guard, "harmless");
    let data = |data: Value| json!({"data": data});
    let changes = [
        data(json!({"url": "https://cd.example.com"})),
        data(json!({"accounts.admin": "login,apiKey"})),
        data(json!({"accounts.admin": " apiKey ,\tlogin , other"})),
        data(json!({"accounts.admin": "apiKey"})),
        data(json!({"admin.enabled": null})),
        data(json!({"admin.enabled": "perhaps"})),
        data(json!({"accounts.admin.enabled": "T"})),
        data(json!({"accounts.carol": "apiKey"})),
        data(json!({"accounts.carol.enabled": "false"})),
        data(json!({"accounts.carol": null, "accounts.carol.enabled": null})),
        data(json!({"accounts.bot": null})),
        json!({"metadata": {"labels": {"team": "platform"}}}),
        json!({"metadata": {"annotations": {"note": "accounts.admin: login"}}}),
    ];
    for change in &changes {
        warned_of(patch(&scene, change), &[]);
    }
    let decisions = guard.decisions(&scene);
    assert_eq!(decisions.len(), 1 + changes.len(), "{decisions:#?}");
    assert!(decisions.iter().all(|line| line["decision"] == "allow"));
}

#[test]
fn other_config_maps_are_none_of_its_business() {
    let guard = Guard::shared();
    let scene = guard.scene("others");
    let named = |name: &str| {
        let mut object = argocd_cm(&json!({"accounts.admin": "apiKey"}));
        object["metadata"]["name"] = name.into();
        object
    };
    let mut generated = named("");
    generated["metadata"] = json!({"generateName": "argocd-cm"});
    let others = ["argocd-rbac-cm", "argocd-cm-backup", "cap-app-proxy-cm"].map(named);
    scene.create(&others).expect_silence();
    warned_of(scene.send(["create"], &generated), &[]);
    let all = ["patch", "configmap", "argocd-cm-backup", "--type=merge"];
    let emptied = [r#"--patch={"data":null}"#];
    warned_of(scene.alice().run(all.iter().chain(&emptied)), &[]);
    let delete = ["delete", "configmaps", "--all"];
    warned_of(scene.alice().run(delete), &[]);
    assert_eq!(guard.decisions(&scene), [] as [Value; 0]);
}

#[test]
fn creating_it_is_never_refused_and_warns_of_what_is_missing() {
    let scene = Guard::shared().scene("created");
    let table = [
        (json!({"accounts.admin": "apiKey"}), None),
        (json!({}), Some(r#"data["accounts.admin"]: not set"#)),
        (json!({"accounts.admin": "login"}), Some("has no apiKey")),
        (
            json!({"accounts.admin": "apiKey", "admin.enabled": "false"}),
            Some("is switched off"),
        ),
        (
            json!({"accounts.admin": "apiKey", "accounts.bob.enabled": ""}),
            Some(r#"cannot parse data["accounts.bob.enabled"]"#),
        ),
    ];
    for (data, missing) in table {
        let created = scene.send(["create", "--dry-run=server"], &argocd_cm(&data));
        let expected: &[&str] = match missing {
            None => &[],
            Some(_) => &["accounts/api-key-missing"],
        };
        let warned = warned_of(created, expected).warnings().join("\n");
        assert!(warned.contains(missing.unwrap_or_default()), "{warned}");
        assert!(warned.chars().count() < 256, "{warned}");
    }
}

#[test]
fn a_bad_state_may_be_kept_or_mended_in_part_and_what_is_still_wrong_is_said() {
    const STILL: &[&str] = &["accounts/api-key-missing"];
    let scene = Guard::shared().scene("bad");
    let bad = argocd_cm(&json!({"accounts.admin": "login", "accounts.bob.enabled": "maybe"}));
    warned_of(scene.send(["create"], &bad), STILL);
    let table = [
        // Nothing about accounts changes.
        (json!({"url": "https://cd.example.com"}), &[][..], ""),
        (
            json!({"accounts.bob.enabled": "true"}),
            STILL,
            "accounts.admin",
        ),
        (json!({"admin.enabled": "false"}), STILL, "admin.enabled"),
        (json!({"accounts.admin": "apiKey"}), STILL, "admin.enabled"),
        (json!({"admin.enabled": "true"}), &[], ""),
    ];
    for (data, expected, what) in table {
        let patched = warned_of(patch(&scene, &json!({"data": data})), expected);
        let warned = patched.warnings().join("\n");
        assert!(warned.contains(what), "{what}: {warned}");
    }
}

#[test]
fn a_dry_run_gets_the_same_refusal_and_changes_nothing() {
    let guard = Guard::shared();
    let scene = scene(guard, "dry-run");
    let before = scene.read(CONFIG_MAP, "{.metadata.resourceVersion}");
    let loss = r#"--patch={"data":{"accounts.admin":null}}"#;
    let harmless = r#"--patch={"data":{"url":"https://cd.example.com"}}"#;
    let try_out = |patch| {
        let arguments = [
            "patch",
            CONFIG_MAP,
            "--type=merge",
            "--dry-run=server",
            patch,
        ];
        scene.alice().run(arguments)
    };
    refused_by(try_out(loss), &["accounts/api-key-removed"]);
    warned_of(try_out(harmless), &[]);
    let delete = ["delete", CONFIG_MAP, "--dry-run=server"];
    refused_by(scene.alice().run(delete), &["accounts/config-map-deleted"]);
    let after = scene.read(CONFIG_MAP, "{.metadata.resourceVersion}");
    assert_eq!(before, after);
    let recorded = guard.decisions(&scene);
    let recorded: Vec<_> = recorded
        .iter()
        .map(|line| (line["dryRun"].as_bool(), line["decision"].as_str()))
        .collect();
    let [created, dry @ ..] = recorded.as_slice() else {
        panic!("nothing recorded")
    };
    assert_eq!(*created, (Some(false), Some("allow")));
    let expected = ["deny", "allow", "deny"].map(|decision| (Some(true), Some(decision)));
    assert_eq!(dry, expected);
}
