//! `divvy cdi generate`.

use super::spec_args::SpecArgs;
use crate::cli::answer::{Answer, Failure, write};
use crate::host::Host;
use cdi::Format;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(in crate::cli) struct Generate {
    /// Where to write the spec, whole or not at all [default: stdout]
    #[arg(long, value_name = "FILE", env = "DIVVY_CDI_GENERATE_OUTPUT")]
    output: Option<PathBuf>,
    /// How to write it [default: by the name of the file; yaml on stdout]
    #[arg(long, value_enum, env = "DIVVY_CDI_GENERATE_FORMAT")]
    format: Option<SpecFormat>,
    #[command(flatten)]
    spec: SpecArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SpecFormat {
    Json,
    Yaml,
}

pub(super) fn run(host: &Host, args: &Generate) -> Result<Answer, Failure> {
    let (options, mut notes) = args.spec.options()?;
    let generated = args.spec.generate(host, &options)?.own?;
    notes.extend(generated.left_out.iter().map(|sentence| format!("divvy: {sentence}")));
    let file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    let text = args.format(file).encode(&generated.spec)?;
    let Some(file) = file else { return Ok(Answer { text, notes }) };
    let in_cdi_folder = file.parent().is_some_and(|folder| is_one_of(folder, &host.cdi_dirs));
    if in_cdi_folder {
        cdi::write_atomically(file, text.as_bytes())?;
    } else {
        write(file, &text)?;
    }
    notes.push(match generated.spec.devices.len() {
        1 => format!("divvy: {} has 1 device", file.display()),
        n => format!("divvy: {} has {n} devices", file.display()),
    });
    if Format::of_path(file).is_none() && in_cdi_folder {
        notes.push(format!(
            "divvy: engines pass over {}: of a CDI folder they read files that end in .json or .yaml",
            file.display()
        ));
    }
    Ok(Answer { text: String::new(), notes })
}

/// Whether a folder is one of these, which need not be there, however it is named.
fn is_one_of(folder: &Path, folders: &[PathBuf]) -> bool {
    let same = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    // A bare file name lies in the current folder.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    same(folder).is_some_and(|own| folders.iter().any(|other| same(other).as_ref() == Some(&own)))
}

impl Generate {
    fn format(&self, file: Option<&Path>) -> Format {
        match self.format {
            Some(SpecFormat::Json) => Format::Json,
            Some(SpecFormat::Yaml) => Format::Yaml,
            None => file.and_then(Format::of_path).unwrap_or(Format::Yaml),
        }
    }
}
