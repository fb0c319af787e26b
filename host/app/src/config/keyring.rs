//! Which keyring of the operating system this session has. Nothing is asked here: the core asks when a secret is needed.

use std::sync::Arc;

use ringfence_core::capability::secrets::Keyring;

use super::Environment;

/// What is known of the session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// Addresses of the session's D-Bus, as `DBUS_SESSION_BUS_ADDRESS` has them.
    #[cfg(target_os = "linux")]
    bus: Option<String>,
}

impl Session {
    /// Where the variable is not set, systemd's place for the bus counts, as for D-Bus's own libraries.
    #[cfg(target_os = "linux")]
    pub(super) fn of(env: &Environment) -> Self {
        let usual = || {
            let socket = std::path::Path::new(env.get("XDG_RUNTIME_DIR")?).join("bus");
            // A character that an address would have to escape is in no such path.
            let path = socket
                .to_str()
                .filter(|path| path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)))?;
            (socket.is_absolute() && socket.exists()).then(|| format!("unix:path={path}"))
        };
        Self { bus: env.get("DBUS_SESSION_BUS_ADDRESS").map(str::to_owned).or_else(usual) }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &Environment) -> Self {
        Self::default()
    }

    pub(super) fn keyring(&self) -> Option<Arc<dyn Keyring>> {
        #[cfg(target_os = "linux")]
        {
            let service = ringfence_core::capability::secrets::SecretService::at(self.bus.as_deref()?)?;
            Some(Arc::new(service))
        }
        #[cfg(target_os = "macos")]
        {
            Some(Arc::new(ringfence_core::capability::secrets::Keychain::new()))
        }
    }
}
