//! Errors that a caller on the bus gets.

/// Why a method has no answer.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.peripety1.Error", impl_display = true)]
pub(super) enum Refusal {
    /// The bus failed.
    #[zbus(error)]
    Bus(zbus::Error),
    /// The caller may not.
    NotAuthorized(String),
    /// There is no such event or incident.
    NotFound(String),
    /// An argument has a value that it cannot have.
    InvalidArgument(String),
    /// Too many callers ask at once.
    Busy(String),
    /// peripetyd does not answer, or refuses.
    Daemon(String),
}
