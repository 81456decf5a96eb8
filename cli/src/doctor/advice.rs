//! What is wrong, and what to type.

use super::facts::{Facts, RECEIVER};
use crate::failure::counted;
use lamq::inspect::{self, Limits};

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    /// Each of them helps.
    pub(super) remedies: Vec<String>,
    /// No receiver with the usual inbox can be made.
    pub(super) fatal: bool,
}

/// A receiver has two descriptors for each sender, and some of its own.
const FEW_FILES: u64 = 128;

pub(super) fn problems(facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    if facts.limits.queues_max == 0 && facts.limits.msg_max == 0 {
        problems.push(Problem {
            what: "This kernel has no POSIX message queues, or /proc is not mounted".into(),
            remedies: vec!["mount -t proc none /proc".into(), "zgrep CONFIG_POSIX_MQUEUE /proc/config.gz".into()],
            fatal: true,
        });
        return problems;
    }
    if is_older_than_5_3(&facts.kernel) {
        problems.push(Problem {
            what: format!("lamq needs Linux 5.3 or later for pidfd_open, and this is {}", facts.kernel),
            remedies: vec!["uname -r    (and start a newer kernel)".into()],
            fatal: true,
        });
    }
    problems.extend(sizes(&facts.limits));
    if facts.room.receivers == 0 && problems.is_empty() {
        problems.extend([bytes(facts), count(facts)].into_iter().flatten());
    }
    if facts.stale() > 0 {
        problems.push(Problem {
            what: format!(
                "{} of yours are left by dead owners, or none ever owned them",
                counted(facts.stale(), "queue")
            ),
            remedies: vec![
                "lamq rm --stale".into(),
                "lamq rm --stale --force    (also those in which frames wait)".into(),
            ],
            fatal: false,
        });
    }
    let (soft, hard) = facts.limits.open_files;
    if soft < FEW_FILES {
        let what =
            format!("A process may have {soft} files open (RLIMIT_NOFILE), and a receiver needs two for each sender");
        problems.push(Problem { what, remedies: vec![raise("ulimit -n", "nofile", hard, 1024)], fatal: false });
    }
    if facts.unseen.names() {
        problems.push(Problem {
            what: "Not all queues can be seen, so there may be less room than it seems".into(),
            remedies: vec![
                "sudo mkdir -p /dev/mqueue && sudo mount -t mqueue none /dev/mqueue".into(),
                "sudo lamq doctor".into(),
            ],
            fatal: false,
        });
    }
    problems
}

/// A queue may not be as large as the usual inbox.
fn sizes(limits: &Limits) -> Option<Problem> {
    let wanted = [
        ("msg_max", limits.msg_max, RECEIVER.slots as u64),
        ("msgsize_max", limits.msgsize_max, RECEIVER.frame_size as u64),
    ];
    let low: Vec<_> = wanted.into_iter().filter(|(_, value, least)| !limits.exempt && value < least).collect();
    let what = low
        .iter()
        .map(|(name, value, least)| format!("fs.mqueue.{name} is {value}, and the usual inbox takes {least}"));
    let set: Vec<_> = low.iter().map(|(name, _, least)| format!("fs.mqueue.{name}={least}")).collect();
    let what = format!("A receiver cannot have the usual inbox: {}", what.collect::<Vec<_>>().join("; "));
    let in_container = set.iter().map(|set| format!("--sysctl {set}")).collect::<Vec<_>>().join(" ");
    let remedies =
        vec![format!("sudo sysctl -w {}", set.join(" ")), format!("docker run {in_container} …    (for a container)")];
    (!low.is_empty()).then_some(Problem { what, remedies, fatal: true })
}

/// The user has no bytes left.
fn bytes(facts: &Facts) -> Option<Problem> {
    let (soft, hard) = facts.limits.queue_bytes;
    let needed = facts.our_bytes + inspect::cost(RECEIVER);
    if needed <= soft {
        return None;
    }
    let what = format!(
        "There is no room for a receiver: its inbox costs {} bytes, and user {} has {} of {soft} in use (RLIMIT_MSGQUEUE)",
        inspect::cost(RECEIVER),
        facts.uid,
        facts.our_bytes
    );
    let mut remedies = stale(facts);
    remedies.push(raise("ulimit -q", "msgqueue", hard, needed));
    remedies.extend(greatest(facts));
    remedies.push(format!("docker run --ulimit msgqueue={needed} …    (for a container)"));
    Some(Problem { what, remedies, fatal: true })
}

/// All queues are taken.
fn count(facts: &Facts) -> Option<Problem> {
    let max = facts.limits.queues_max;
    if facts.limits.exempt || facts.queues < max {
        return None;
    }
    let what =
        format!("There is no room for a receiver: {} of {max} queues exist (fs.mqueue.queues_max)", facts.queues);
    let mut remedies = stale(facts);
    remedies.push(format!("sudo sysctl -w fs.mqueue.queues_max={}", max.saturating_mul(2)));
    remedies.extend(greatest(facts));
    Some(Problem { what, remedies, fatal: true })
}

fn stale(facts: &Facts) -> Vec<String> {
    if facts.stale() > 0 { vec!["lamq rm --stale".into()] } else { Vec::new() }
}

/// To end who takes most.
fn greatest(facts: &Facts) -> Option<String> {
    let share = facts.processes.first()?;
    Some(format!("kill {}    ({}, which has {} bytes)", share.id, crate::ls::shown(&share.command), share.bytes))
}

/// Within the hard limit anybody may raise his own.
fn raise(command: &str, item: &str, hard: u64, wanted: u64) -> String {
    if wanted <= hard {
        format!("{command} {wanted}    (in this shell)")
    } else {
        format!("echo \"$USER - {item} {wanted}\" | sudo tee -a /etc/security/limits.conf    (and log in again)")
    }
}

fn is_older_than_5_3(release: &str) -> bool {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|text| text.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < (5, 3),
        _ => false, // not known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let mut facts = Facts::gather();
        (facts.kernel, facts.uid, facts.queues, facts.our_bytes) = ("6.1.0".into(), 7, 0, 0);
        (facts.users, facts.processes, facts.room.receivers) = (Vec::new(), Vec::new(), 9);
        let limits = &mut facts.limits;
        (limits.msg_max, limits.msgsize_max, limits.queues_max) = (10, 8192, 256);
        (limits.queue_bytes, limits.open_files, limits.exempt) = ((819_200, 819_200), (1024, 4096), false);
        facts.unseen.source = inspect::Source::Unmounted;
        facts
    }

    #[track_caller]
    fn demand(facts: &Facts, fatal: bool, words: &[&str]) {
        let problems = problems(facts);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].fatal, fatal, "{problems:?}");
        let all = format!("{} {}", problems[0].what, problems[0].remedies.join(" "));
        assert!(words.iter().all(|word| all.contains(word)), "{all}");
    }

    #[test]
    fn where_there_is_room_nothing_is_to_mend() {
        assert_eq!(problems(&facts()), []);
    }

    #[test]
    fn each_limit_has_its_remedy() {
        let mut low = facts();
        (low.limits.msgsize_max, low.room.receivers) = (4096, 0);
        demand(&low, true, &["fs.mqueue.msgsize_max is 4096", "sysctl -w fs.mqueue.msgsize_max=8136"]);
        low.limits.msg_max = 5;
        demand(&low, true, &["fs.mqueue.msg_max is 5", "sysctl -w fs.mqueue.msg_max=10 fs.mqueue.msgsize_max=8136"]);

        let mut full = facts();
        (full.our_bytes, full.room.receivers) = (800_000, 0);
        demand(&full, true, &["800000 of 819200", "limits.conf", "msgqueue 882320", "docker run --ulimit"]);
        full.limits.queue_bytes.1 = u64::MAX;
        demand(&full, true, &["ulimit -q 882320"]);

        let mut many = facts();
        (many.queues, many.room.receivers) = (256, 0);
        demand(&many, true, &["256 of 256 queues", "sysctl -w fs.mqueue.queues_max=512"]);

        let mut files = facts();
        files.limits.open_files = (64, 4096);
        demand(&files, false, &["RLIMIT_NOFILE", "ulimit -n 1024"]);

        let mut blind = facts();
        blind.unseen.source = inspect::Source::Processes;
        demand(&blind, false, &["mount -t mqueue none /dev/mqueue"]);
    }

    #[test]
    fn a_kernel_without_pidfd_open_is_too_old() {
        assert!(["5.2.21", "4.19.0-26-amd64", "3.10.0"].into_iter().all(is_older_than_5_3));
        assert!(!["5.3.0", "5.10.0", "6.18.44-fc-v595", ""].into_iter().any(is_older_than_5_3));
    }
}
