//! The API server's own record of what was asked and answered.

use std::fs;

use serde_json::Value;

use super::ControlPlane;
use super::wait::wait_for;

impl ControlPlane {
    /// Every recorded event so far: writes only, without bodies.
    pub(crate) fn audit_events(&self) -> Vec<Value> {
        // The last line may be half written.
        let log = fs::read_to_string(&self.api_server.audit_log).unwrap_or_default();
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The first event that is `wanted`. An event is written when its request
    /// is over, which may be after the client has the answer.
    pub(crate) fn audit_event(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("the audit event of {what}"), || {
            let mut events = self.audit_events().into_iter();
            events
                .find(&wanted)
                .ok_or_else(|| "not recorded".to_owned())
        })
    }
}
