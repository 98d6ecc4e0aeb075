//! The example manifests: a folder that is the cluster. Its tokens are random and open nothing.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::commands::demo::DemoError;

/// The namespace of a Runtime with an external Argo CD and a token.
pub(crate) const EXTERNAL: &str = "gitops";
/// The namespace of a fresh Runtime with its own Argo CD.
pub(crate) const FRESH: &str = "fresh";

/// Writes the manifests; gives their folder.
pub(crate) fn write(directory: &Path) -> Result<PathBuf, DemoError> {
    let folder = directory.join("manifests");
    let token = token(&json!({}))?;
    let manifests = [
        (
            "external-mode",
            config_map(EXTERNAL, json!({"isExternalArgoCD": "true"})),
        ),
        (
            "fresh-mode",
            config_map(
                FRESH,
                json!({"isExternalArgoCD": "false", "argoCdUsername": "admin"}),
            ),
        ),
        ("good", secret("good", &token)),
        ("newline", secret("newline", &format!("{token}\n"))),
        ("bearer", secret("bearer", &format!("Bearer {token}"))),
        (
            "encoded-twice",
            secret("encoded-twice", &STANDARD.encode(&token)),
        ),
        (
            "expiring",
            secret(
                "expiring",
                &self::token(&json!({"exp": 4_102_444_800_u64}))?,
            ),
        ),
        (
            "session",
            secret("session", &self::token(&json!({"sub": "admin:login"}))?),
        ),
        ("empty", secret("empty", "")),
    ];
    for (name, manifest) in manifests {
        let path = folder.join(format!("{name}.json"));
        write_file(&path, format!("{manifest:#}\n").as_bytes())?;
    }
    Ok(folder)
}

/// Writes a review to send by hand.
pub(crate) fn write_review(directory: &Path, review: &Value) -> Result<PathBuf, DemoError> {
    let path = directory.join("review.json");
    write_file(&path, review.to_string().as_bytes())?;
    Ok(path)
}

/// Writes a file that only its owner may read, and its folder.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), DemoError> {
    let write = || {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(content)
    };
    write().map_err(|source| DemoError::Directory {
        path: path.display().to_string(),
        source,
    })
}

fn config_map(namespace: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cap-app-proxy-cm", "namespace": namespace}, "data": data})
}

fn secret(name: &str, token: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": EXTERNAL},
           "data": {"token": STANDARD.encode(token)}})
}

/// A token of the right shape with a random signature.
fn token(changes: &Value) -> Result<String, DemoError> {
    let mut random = [0_u8; 48];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
    let (id, signature) = random.split_at(16);
    let mut claims = json!({
        "iss": "argocd", "sub": "admin:apiKey", "iat": 1_792_408_000, "nbf": 1_792_408_000,
        "jti": URL_SAFE_NO_PAD.encode(id),
    });
    if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
        claims.extend(changes.clone());
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "HS256", "typ": "JWT"}));
    Ok(format!(
        "{header}.{}.{}",
        part(&claims),
        URL_SAFE_NO_PAD.encode(signature)
    ))
}
