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
    assert_eq!(data["isExternalArgoCD"], "true");
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
