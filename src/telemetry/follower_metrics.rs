//! What looks at files while the server runs, as metrics and the log name it.

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
    /// Everything that is looked at.
    pub const ALL: [Follower; 3] = [
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
