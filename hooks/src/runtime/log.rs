//! What went wrong, where engines read it: stderr, and the runtime's log in its own format.

use std::fs::File;
use std::io::Write;

use rustix::fs::{Mode, OFlags};

use super::args::Line;

/// Tells a person, on stderr and in the log that the engine named.
pub(super) fn tell(line: &Line, sentence: &str) {
    // Where nobody listens, the exit code says it.
    let _ = std::io::stderr().write_all(format!("divvy-runtime: {sentence}\n").as_bytes());
    let Some(log) = line.log.as_deref() else { return };
    // crun's other destinations, journald: and syslog:, are nobody's to read an error from.
    let path = log.strip_prefix("file:").unwrap_or(log);
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::CLOEXEC
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK;
    if !path.starts_with("journald:")
        && !path.starts_with("syslog:")
        && let Ok(file) = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))
    {
        let _ = File::from(file).write_all(entry(line.log_json, sentence, &now()).as_bytes());
    }
}

/// One line as runc's logger writes it.
fn entry(json: bool, sentence: &str, time: &str) -> String {
    let message = serde_json::Value::from(format!("divvy-runtime: {sentence}"));
    match json {
        true => format!("{{\"level\":\"error\",\"msg\":{message},\"time\":\"{time}\"}}\n"),
        false => format!("time=\"{time}\" level=error msg={message}\n"),
    }
}

fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    rfc3339(now.map_or(0, |since| since.as_secs()))
}

/// A time in seconds of Unix time, as in `2026-11-21T02:53:30Z`.
fn rfc3339(seconds: u64) -> String {
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_229_610, "2026-11-21T02:53:30Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn a_sentence_stays_one_line_in_both_formats() {
        let json = entry(true, "no \"room\"\nhere", "T");
        assert_eq!(
            json,
            "{\"level\":\"error\",\"msg\":\"divvy-runtime: no \\\"room\\\"\\nhere\",\"time\":\"T\"}\n"
        );
        assert_eq!(entry(false, "no", "T"), "time=\"T\" level=error msg=\"divvy-runtime: no\"\n");
    }
}
