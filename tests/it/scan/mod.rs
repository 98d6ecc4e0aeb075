//! `keyguard scan` over a folder that is the cluster: what it finds, and what it ends with.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test writes files, and a test that cannot go on fails"
)]

mod again;
mod once;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder that is the cluster.
struct State(TempDir);

/// What keyguard ended with.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl State {
    fn of(objects: &[Value]) -> State {
        let state = State(tempfile::tempdir().unwrap());
        fs::create_dir(state.path()).unwrap();
        for (index, object) in objects.iter().enumerate() {
            state.put(&format!("{index}.json"), object);
        }
        state
    }

    fn put(&self, file: &str, object: &Value) {
        fs::write(self.path().join(file), object.to_string()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// Runs `keyguard scan` with this configuration.
    fn run(&self, config: &str, arguments: &[&str]) -> Ended {
        let file = self.0.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        scan(
            self.0.path(),
            &[&["--state=state", "--config=config.yaml"], arguments].concat(),
        )
    }

    fn report(&self, config: &str, arguments: &[&str]) -> Value {
        let ended = self.run(config, &[&["--format=json"], arguments].concat());
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
    }

    /// Each finding as `SEVERITY RULE KIND NAMESPACE/NAME`.
    fn findings(&self, config: &str, arguments: &[&str]) -> Vec<String> {
        let report = self.report(config, arguments);
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| {
                let text = |pointer: &str| finding.pointer(pointer).unwrap().as_str().unwrap();
                format!(
                    "{} {} {} {}/{}",
                    text("/severity"),
                    text("/rule"),
                    text("/object/kind"),
                    text("/object/namespace"),
                    text("/object/name")
                )
            })
            .collect()
    }
}

fn scan(folder: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_keyguard"))
        .arg("scan")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("keyguard runs");
    let text = |bytes| String::from_utf8(bytes).expect("its output is text");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A workload of one container that refers to a token.
fn workload(kind: &str, namespace: &str, name: &str, secret: &str) -> Value {
    let env = json!([{
        "name": "ARGO_CD_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}},
    }]);
    let pod = json!({"containers": [{"name": "manager", "env": env}]});
    let spec = match kind {
        "Pod" => pod,
        "CronJob" => json!({"jobTemplate": {"spec": {"template": {"spec": pod}}}}),
        _ => json!({"template": {"spec": pod}}),
    };
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"kind": kind, "metadata": metadata, "spec": spec})
}

fn secret(namespace: &str, name: &str, data: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"kind": "Secret", "metadata": metadata, "stringData": data})
}

fn argocd_cm(namespace: &str, labelled: bool, data: &Value) -> Value {
    let labels = match labelled {
        true => json!({"app.kubernetes.io/part-of": "argocd"}),
        false => json!({}),
    };
    let metadata = json!({"name": "argocd-cm", "namespace": namespace, "labels": labels});
    json!({"kind": "ConfigMap", "metadata": metadata, "data": data})
}
