//! What metrics count by: closed sets, so that nothing grows with traffic.

use strum::{IntoStaticStr, VariantArray};

/// Declares labels, each with its values in kebab case.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
        #[strum(serialize_all = "kebab-case")]
        pub enum $name { $($(#[$value_doc])* $value,)+ }
    )+};
}

labels! {
    /// How a read of an object ended.
    ReadOutcome {
        /// It is there.
        Found,
        /// It does not exist.
        Missing,
        /// keyguard may not read it.
        Forbidden,
        /// No answer before the deadline.
        Timeout,
        /// Any other failure.
        Error,
        /// More than keyguard reads.
        TooLarge,
    }

    /// What became of a record for the webhook.
    WebhookOutcome {
        /// The other end has it.
        Sent,
        /// The other end does not want it, however often it is sent.
        Refused,
        /// This version of keyguard cannot read it.
        Unreadable,
    }

    /// What became of a record for OpenTelemetry.
    OtlpOutcome {
        /// The other end has it.
        Sent,
        /// Too many waited.
        QueueFull,
        /// The other end did not take it, however often it was sent.
        NotTaken,
    }

    /// Why a request got no review.
    RejectionReason {
        /// Another path.
        Path,
        /// Another method than POST.
        Method,
        /// Not `application/json`.
        MediaType,
        /// A longer body than allowed, announced or sent.
        BodyTooLarge,
        /// A body that took too long.
        BodyTimeout,
        /// A body that broke off or is not framed as HTTP says.
        BodyIncomplete,
        /// A body that is no review.
        Undecodable,
        /// Too many reviews at once.
        Overload,
        /// Too many bytes of bodies at once.
        BodyMemory,
        /// The code panicked.
        Panic,
    }

    /// Why a client was not let in.
    ClientRefusal {
        /// It has shown no certificate.
        NoCertificate,
        /// Its certificate is not of the CA, not valid now, or not for clients.
        NotTrusted,
        /// Its certificate has none of the names.
        OtherName,
    }

    /// What became of another certificate.
    ReloadOutcome {
        /// It is presented.
        Served,
        /// It cannot be; the one before stays.
        Refused,
    }

    /// What keyguard writes.
    Kind {
        /// The Secret that it keeps its certificates in.
        Secret,
        /// The webhook configuration's `caBundle`.
        WebhookConfiguration,
    }

    /// What came of a write.
    WriteOutcome {
        /// It is done.
        Written,
        /// Another replica was first.
        Lost,
        /// keyguard's account may not.
        Forbidden,
        /// Any other failure.
        Error,
    }

    /// What became of another configuration.
    ConfigOutcome {
        /// It is in force.
        Applied,
        /// It has faults; the one before stays.
        Refused,
    }

    /// Why a record is not in the audit store.
    LostReason {
        /// Too many waited, and it was of something that went through.
        AllowQueueFull,
        /// Too many waited.
        RefusalQueueFull,
        /// The spool had no room, and it was of something that went through.
        AllowSpoolFull,
        /// The spool had no room.
        RefusalSpoolFull,
        /// A segment of the spool could not be read: counted once, however many records it had.
        SpoolDamaged,
        /// Another keyguard writes to the store since.
        StoreTaken,
    }

    /// What became of a batch of records that a replica sent.
    BatchOutcome {
        /// It is stored.
        Stored,
        /// Nobody knows who sent it.
        Unknown,
        /// The sender may not.
        Forbidden,
        /// Another one of the same sender is stored just now.
        Busy,
        /// It has too many bytes or records.
        TooLarge,
        /// It holds something else than records.
        Invalid,
        /// The store cannot be written.
        NotStored,
    }

    /// What is looked at while the server runs.
    Follower {
        /// The configuration file.
        Configuration,
        /// The CA certificates of clients.
        ClientCa,
        /// The files of the serving certificate.
        CertificateFiles,
    }
}
