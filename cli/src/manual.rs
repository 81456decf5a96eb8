//! `lamq completions` and `lamq man`: what shells and readers of manuals want, from the one definition of the arguments.

use crate::failure::{Exit, Failure};
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::{self, Write};

/// Write the completions for a shell to standard output.
///
/// For bash, say: lamq completions bash >~/.local/share/bash-completion/completions/lamq
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct CompletionsArgs {
    shell: Shell,
}

/// Write a manual page to standard output, such as: lamq man | man -l -
#[derive(Args)]
#[command(after_help = crate::failure::EXIT_CODES)]
pub(crate) struct ManArgs {
    /// The page of this command, such as send.
    command: Option<String>,
}

pub(crate) fn complete(definition: &Command, arguments: &CompletionsArgs) -> Result<(), Failure> {
    // The completions for bash would offer hidden commands too.
    let shown = definition.get_subcommands().filter(|command| !command.is_hide_set());
    let mut shown = Command::new("lamq")
        .version(env!("CARGO_PKG_VERSION"))
        .args(definition.get_arguments())
        .subcommands(shown.cloned());
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut shown, "lamq", &mut script);
    print(&script)
}

pub(crate) fn describe(mut definition: Command, arguments: &ManArgs) -> Result<(), Failure> {
    definition.build();
    let page = match &arguments.command {
        None => definition,
        Some(name) => {
            let found =
                definition.get_subcommands().find(|command| command.get_name() == name && !command.is_hide_set());
            let Some(command) = found else {
                let what = format!("there is no command {name:?}; lamq --help lists them");
                return Err(Failure::new(Exit::Usage, what));
            };
            command.clone()
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(Failure::general)?;
    print(&text)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let written = io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
    written.map_err(|error| Failure::general(format!("cannot write to standard output: {error}")))
}
