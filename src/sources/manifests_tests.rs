use super::*;
use std::fs;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

async fn length(manifests: &Manifests, namespace: &str, name: &str, key: &str) -> Option<usize> {
    match manifests.secret(namespace, name, &[key]).await {
        SecretRead::Found(found) => Some(found.get(key).map_or(0, |value| value.expose().len())),
        _ => None,
    }
}

#[tokio::test]
async fn yaml_json_several_documents_and_lists_are_all_read() {
    let folder = folder(&[
        (
            "a.yaml",
            "---\nkind: Secret\nmetadata: {name: one, namespace: ns}\ndata: {token: YWJj}\n---\nkind: Secret\nmetadata: {name: two}\nstringData: {token: abcd}\n",
        ),
        (
            "b.json",
            r#"{"kind":"List","items":[{"kind":"ConfigMap","metadata":{"name":"cm","namespace":"ns"},"data":{"isExternalArgoCD":"true"}},{"kind":"Deployment","metadata":{"name":"d"}}]}"#,
        ),
        ("README.md", "not: [a manifest"),
    ]);
    let manifests = Manifests::open(folder.path()).unwrap();
    assert_eq!(length(&manifests, "ns", "one", "token").await, Some(3));
    assert_eq!(length(&manifests, "default", "two", "token").await, Some(4));
    assert_eq!(length(&manifests, "ns", "two", "token").await, None);
    let ConfigMapRead::Found(data) = manifests.config_map("ns", "cm").await else {
        panic!("not found")
    };
    assert_eq!(data.data["isExternalArgoCD"], "true");
}

#[tokio::test]
async fn the_users_of_a_namespace_are_found_and_what_is_leaving_is_none() {
    let deployment = |name: &str, namespace: &str, more: &str| {
        format!(
            "---\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}{more}}}\nspec: {{template: {{spec: \
             {{containers: [{{env: [{{name: ARGO_CD_TOKEN, valueFrom: {{secretKeyRef: {{name: s, key: token}}}}}}]}}]}}}}}}\n"
        )
    };
    let leaving = ", deletionTimestamp: 2026-01-01T00:00:00Z";
    let text = [
        deployment("a", "one", ""),
        deployment("b", "two", ""),
        deployment("c", "one", leaving),
        "---\nkind: Deployment\nmetadata: {name: d, namespace: one}\n".to_owned(),
        format!("---\nkind: Namespace\nmetadata: {{name: two{leaving}}}\n"),
        "---\nkind: Other\nmetadata: {name: d}\nspec: 1\n".to_owned(),
    ];
    let folder = folder(&[("all.yaml", &text.concat())]);
    let manifests = Manifests::open(folder.path()).unwrap();
    let bound = Bound {
        workloads: 1,
        bytes: 1,
    };
    for (namespace, expected) in [
        (Some("one"), vec!["a"]),
        (Some("three"), vec![]),
        (None, vec!["a", "b"]),
    ] {
        let read = manifests.workloads(namespace, bound).await;
        let names: Vec<&str> = read.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!((names, read.unread), (expected, None), "{namespace:?}");
    }
    assert!(manifests.namespace_ends("two").await);
    assert!(!manifests.namespace_ends("one").await);
    fs::write(folder.path().join("bad.yaml"), "kind: [").unwrap();
    let read = manifests.workloads(None, bound).await;
    assert_eq!(
        read.unread,
        Some((WorkloadKind::Deployment, Unread::Manifests))
    );
}

#[tokio::test]
async fn what_is_written_into_the_folder_counts_at_once() {
    let folder = folder(&[]);
    let manifests = Manifests::open(folder.path()).unwrap();
    assert_eq!(length(&manifests, "ns", "new", "token").await, None);
    let path = folder.path().join("new.yaml");
    fs::write(
        &path,
        "kind: Secret\nmetadata: {name: new, namespace: ns}\nstringData: {token: a}\n",
    )
    .unwrap();
    assert_eq!(length(&manifests, "ns", "new", "token").await, Some(1));
    fs::remove_file(path).unwrap();
    assert_eq!(length(&manifests, "ns", "new", "token").await, None);
}

#[tokio::test]
async fn a_folder_that_went_bad_is_unread_and_not_empty() {
    let folder = folder(&[]);
    let manifests = Manifests::open(folder.path()).unwrap();
    fs::write(folder.path().join("bad.yaml"), "kind: [").unwrap();
    assert!(matches!(
        manifests.secret("ns", "x", &["token"]).await,
        SecretRead::Unread(Unread::Manifests)
    ));
    assert!(manifests.answers().await.is_err());
}

#[tokio::test]
async fn whatever_other_kinds_have_under_data_is_nobodys_business() {
    let folder = folder(&[
        (
            "revision.yaml",
            "apiVersion: apps/v1\ndata: {spec: {template: {$patch: replace}}, revision: 1}\nkind: ControllerRevision\nmetadata: {name: web-5d4f}\nrevision: 1\n",
        ),
        (
            "other.json",
            r#"{"kind": "Other", "data": [1], "stringData": 2}"#,
        ),
        (
            "secret.yaml",
            "kind: Secret\nmetadata: {name: one}\ndata: {token: YWJj}\n",
        ),
    ]);
    let manifests = Manifests::open(folder.path()).unwrap();
    assert_eq!(length(&manifests, "default", "one", "token").await, Some(3));
}

#[test]
fn a_bad_manifest_is_told_by_its_place_and_never_by_its_content() {
    let table = [
        (
            "kind: Secret\nmetadata: {name: s}\ndata: {token: sup3rs3cret!}\n",
            "not base64",
        ),
        (
            "kind: Secret\nmetadata: {name: s}\ndata: [sup3rs3cret!]\n",
            "data of Secret s is not a map",
        ),
        (
            "kind: Secret\nmetadata: {name: s}\nstringData: {token: [sup3rs3cret!]}\n",
            "stringData.token of Secret s is not text; put it in quotes",
        ),
        (
            "kind: ConfigMap\nmetadata: {name: c}\ndata: {on: true}\n",
            "data.on of ConfigMap c is not text; put it in quotes",
        ),
        ("kind: Secret\nmetadata: [sup3rs3cret!]\n", "line 2"),
    ];
    for (text, expected) in table {
        let folder = folder(&[("bad.yaml", text)]);
        let error = Manifests::open(folder.path()).err().unwrap();
        let message = format!("{error} {error:?}");
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("bad.yaml"), "{message}");
        assert!(!message.contains("sup3rs3cret"), "{message}");
    }
    assert!(Manifests::open(Path::new("/nowhere/at/all")).is_err());
}
