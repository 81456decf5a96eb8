//! Which versions are compared.

/// What this program was built from.
const LOCK: &str = include_str!("../Cargo.lock");

/// Of a crate.
pub(crate) fn of(name: &str) -> &'static str {
    let mut lines = LOCK.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.unwrap_or("of no known version")
}

#[test]
fn every_guest_has_a_version() {
    for name in ["crossbeam-channel", "iceoryx2", "ipc-channel", "zmq"] {
        assert!(of(name).starts_with(|first: char| first.is_ascii_digit()), "{name}: {}", of(name));
    }
    assert_eq!(of("nobody"), "of no known version");
}
