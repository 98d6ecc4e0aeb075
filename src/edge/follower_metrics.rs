//! What is counted of those who look at files while the server runs.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follower {
    /// The configuration file.
    Configuration,
    /// The CA certificates of clients.
    ClientCa,
    /// The files of the serving certificate.
    CertificateFiles,
}

impl Follower {
    const ALL: [Follower; 3] = [
        Follower::Configuration,
        Follower::ClientCa,
        Follower::CertificateFiles,
    ];

    /// The name in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Follower::Configuration => "configuration",
            Follower::ClientCa => "client-ca",
            Follower::CertificateFiles => "certificate-files",
        }
    }
}

/// The metrics of followers.
#[derive(Debug)]
pub(super) struct FollowerMetrics(Family<FollowerLabels, Counter>);

impl FollowerMetrics {
    pub(super) fn register(registry: &mut Registry) -> FollowerMetrics {
        let faults = Family::<FollowerLabels, Counter>::default();
        registry.register(
            "follower_faults",
            "Looks at a file that a fault in keyguard ended, by what was looked at",
            faults.clone(),
        );
        for follower in Follower::ALL {
            drop(faults.get_or_create(&FollowerLabels::from(follower)));
        }
        FollowerMetrics(faults)
    }

    pub(super) fn failed(&self, follower: Follower) {
        self.0.get_or_create(&FollowerLabels::from(follower)).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FollowerLabels {
    follower: &'static str,
}

impl From<Follower> for FollowerLabels {
    fn from(follower: Follower) -> Self {
        FollowerLabels {
            follower: follower.name(),
        }
    }
}
