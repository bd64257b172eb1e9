//! Metrics as text, in two formats that differ in little.

use super::{Durations, FAMILIES, Family, Kind, Metrics, Sample, Value};
use std::fmt::Write;

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    #[default]
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which node exporter's textfile collector and `promtool check metrics` read:
    /// a counter's family is called as its samples are, infos are gauges, and units and the end aren't told.
    Prometheus,
}

pub(super) fn write(metrics: &Metrics, format: Format) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        let Some(samples) = metrics.samples.get(family.name) else { continue };
        header(&mut text, family, format);
        for sample in samples {
            line(&mut text, family, sample);
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn header(text: &mut String, family: &Family, format: Format) {
    let help = family.help;
    // Writing to a string doesn't fail.
    let _ = match format {
        Format::OpenMetrics => {
            let (name, kind) = (family.name, family.kind.word());
            let unit = match family.unit {
                "" => String::new(),
                unit => format!("# UNIT {name} {unit}\n"),
            };
            write!(text, "# TYPE {name} {kind}\n{unit}# HELP {name} {help}\n")
        }
        Format::Prometheus => {
            let kind = match family.kind {
                Kind::Info => Kind::Gauge,
                kind => kind,
            };
            let (name, kind) = (family.queried(), kind.word());
            write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
        }
    };
}

fn line(text: &mut String, family: &Family, sample: &Sample) {
    let values = sample.labels.iter().map(String::as_str);
    let labels: Vec<(&str, &str)> = family.labels.iter().copied().zip(values).collect();
    let name = family.queried();
    // Writing to a string doesn't fail.
    let _ = match &sample.value {
        Value::Whole(value) => writeln!(text, "{name}{} {value}", set(&labels)),
        Value::Real(value) => writeln!(text, "{name}{} {value:?}", set(&labels)),
        Value::Histogram(durations) => {
            let counts = durations.cumulative();
            let bounds = Durations::BOUNDS.map(|bound| format!("{bound:?}"));
            for (bound, count) in bounds.iter().map(String::as_str).chain(["+Inf"]).zip(&counts) {
                let labels = set(&[&labels[..], &[("le", bound)]].concat());
                let _ = writeln!(text, "{name}_bucket{labels} {count}");
            }
            let (all, labels) = (counts.last().unwrap_or(&0), set(&labels));
            writeln!(text, "{name}_sum{labels} {:?}\n{name}_count{labels} {all}", durations.sum())
        }
    };
}

/// `{name="value",…}`, or nothing.
fn set(labels: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
    let labels: Vec<String> = labels.iter().map(one).collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

/// A label's value between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
