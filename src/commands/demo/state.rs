//! The example manifests: a folder that is the cluster. Its tokens are random and open nothing.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::commands::CommandError;

/// The namespace of a Runtime with an external Argo CD and a token.
pub(crate) const EXTERNAL: &str = "gitops";
/// The namespace of a fresh Runtime with its own Argo CD.
pub(crate) const FRESH: &str = "fresh";

/// Writes the manifests; gives their folder.
pub(crate) fn write(directory: &Path) -> Result<PathBuf, CommandError> {
    let folder = directory.join("manifests");
    let manifest = |name: &str, manifest: &Value| {
        let text = format!("{manifest:#}\n");
        write_file(&folder, &format!("{name}.json"), text.as_bytes())
    };
    let modes = [
        (
            "external-mode",
            EXTERNAL,
            json!({"isExternalArgoCD": "true"}),
        ),
        (
            "fresh-mode",
            FRESH,
            json!({"isExternalArgoCD": "false", "argoCdUsername": "admin"}),
        ),
    ];
    for (name, namespace, data) in modes {
        let metadata = json!({"name": "cap-app-proxy-cm", "namespace": namespace});
        manifest(
            name,
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
        )?;
    }
    let good = token(json!({}))?;
    let tokens = [
        ("newline", format!("{good}\n")),
        ("bearer", format!("Bearer {good}")),
        ("encoded-twice", STANDARD.encode(&good)),
        ("expiring", token(json!({"exp": 4_102_444_800_u64}))?),
        ("session", token(json!({"sub": "admin:login"}))?),
        ("empty", String::new()),
        ("good", good),
    ];
    for (name, token) in tokens {
        let (metadata, token) = (
            json!({"name": name, "namespace": EXTERNAL}),
            STANDARD.encode(token),
        );
        manifest(
            name,
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": token}}),
        )?;
    }
    Ok(folder)
}

/// Writes a file that only its owner may read, and its folder; gives its path.
pub(crate) fn write_file(
    folder: &Path,
    name: &str,
    content: &[u8],
) -> Result<PathBuf, CommandError> {
    let path = folder.join(name);
    let write = || {
        let mut folders = DirBuilder::new();
        folders.recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(content)
    };
    write().map_err(|error| {
        let path = path.display();
        let what = format!("--directory {path} cannot be written; name a folder that may be");
        CommandError::Failed(what, error.into())
    })?;
    Ok(path)
}

/// A token of the right shape with a random signature.
fn token(changes: Value) -> Result<String, CommandError> {
    let mut random = [0_u8; 48];
    let filled = rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random);
    filled.map_err(|_| {
        let error = io::Error::other("the system gives no random numbers");
        CommandError::no("thread, timer or output")(error)
    })?;
    let (id, signature) = random.split_at(16);
    let mut claims = json!({
        "iss": "argocd", "sub": "admin:apiKey", "iat": 1_792_408_000, "nbf": 1_792_408_000,
        "jti": URL_SAFE_NO_PAD.encode(id),
    });
    if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
        claims.extend(changes);
    }
    let [header, claims] = [json!({"alg": "HS256", "typ": "JWT"}), claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(signature);
    Ok(format!("{header}.{claims}.{signature}"))
}
