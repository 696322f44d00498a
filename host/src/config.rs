//! Configuration files: TOML, a table for each command that takes one, keys named like its options.
//!
//! A file is turned into options of the command line, so that both know the same ones and check them
//! alike. Mistakes are told with line and column.

use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::sink::visible;

/// The option that names the file.
const OPTION: &str = "config";

/// The process's arguments, with those of the configuration file that they name. `command` gives the
/// whole command line's grammar, if it is needed.
pub(crate) fn arguments(command: impl Fn() -> Command, given: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    if !given.iter().any(|argument| argument.as_encoded_bytes().starts_with(b"--config")) {
        return Ok(given);
    }
    let command = &command();
    // A mistake in them is told when all are parsed for good.
    let Ok(matches) = command.clone().ignore_errors(true).try_get_matches_from(&given) else { return Ok(given) };
    let (mut names, mut matches, mut grammar) = (Vec::new(), &matches, command);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(subcommand) = grammar.find_subcommand(name) else { return Ok(given) };
        names.push(name);
        (matches, grammar) = (inner, subcommand);
    }
    if !takes_config(grammar) {
        return Ok(given);
    }
    let Some(path) = matches.get_one::<std::path::PathBuf>(OPTION) else { return Ok(given) };
    let (text, name) = read(path)?;
    let file = File { name: &name, text: &text };
    let root = file.parse()?;
    let mut table = Some(root.get_ref());
    for name in &names {
        table = table.and_then(|table| table.get(*name)).and_then(|value| value.get_ref().as_table());
    }
    let Some(table) = table else { bail!("{name}: there is no table [{}]", names.join(".")) };
    let on_the_command_line =
        |option: &Arg| matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine);
    // Or another one that excludes it, on whichever side that is declared.
    let is_given = |option: &Arg| {
        let exclude = |one, other| grammar.get_arg_conflicts_with(one).contains(&other);
        let given = || grammar.get_arguments().filter(|argument| on_the_command_line(argument));
        on_the_command_line(option) || given().any(|given| exclude(given, option) || exclude(option, given))
    };
    let mut all = given;
    all.extend(file.options(grammar, table, is_given)?.into_iter().map(OsString::from));
    Ok(all)
}

/// Checks a configuration file, all tables of it; gives the names of those that it has. `command` is
/// the whole command line's grammar.
pub(crate) fn check(command: &Command, path: &Path) -> anyhow::Result<Vec<String>> {
    let (text, name) = read(path)?;
    let file = File { name: &name, text: &text };
    let mut known = Vec::new();
    tables(command, String::new(), &mut known);
    let mut found = Vec::new();
    file.check(file.parse()?.get_ref(), "", &known, &mut found)?;
    if found.is_empty() {
        bail!("{name}: there is no table of a command, such as [{}]", known[0].0);
    }
    Ok(found)
}

/// The names of all tables that a file may have, and their commands.
fn tables<'c>(command: &'c Command, name: String, known: &mut Vec<(String, &'c Command)>) {
    for inner in command.get_subcommands() {
        let name = [name.as_str(), inner.get_name()].join(if name.is_empty() { "" } else { "." });
        match takes_config(inner) {
            true => known.push((name, inner)),
            false => tables(inner, name, known),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<(String, String)> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    Ok((text, name))
}

fn takes_config(command: &Command) -> bool {
    command.get_arguments().any(|argument| argument.get_id() == OPTION)
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn parse(&self) -> anyhow::Result<Spanned<DeTable<'_>>> {
        DeTable::parse(self.text).map_err(|error| match error.span() {
            Some(span) => self.mistake(span, error.message()),
            None => anyhow::anyhow!("{}: {}", self.name, error.message()),
        })
    }

    /// `vpcflow.toml:3:1: …`
    fn mistake(&self, span: Range<usize>, message: &str) -> anyhow::Error {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        anyhow::anyhow!("{}:{line}:{column}: {}", self.name, visible(message))
    }

    /// Checks what stands below the table `outer`.
    fn check(
        &self,
        table: &DeTable<'_>,
        outer: &str,
        known: &[(String, &Command)],
        found: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        for (key, value) in table {
            let name = format!("{outer}{}", key.get_ref());
            let command = known.iter().find(|(known, _)| *known == name);
            let leads_on = known.iter().any(|(known, _)| known.starts_with(&format!("{name}.")));
            match (command, value.get_ref().as_table()) {
                (Some((_, command)), Some(table)) => {
                    let options = self.options(command, table, |_| false)?;
                    // All of them together: what excludes or needs another.
                    let arguments = std::iter::once("vpcflow".to_owned()).chain(options);
                    if let Err(error) = (*command).clone().try_get_matches_from(arguments) {
                        bail!("{}: [{name}]: {}", self.name, told(&error));
                    }
                    found.push(name);
                }
                (None, Some(table)) if leads_on => self.check(table, &format!("{name}."), known, found)?,
                _ => {
                    let known: Vec<_> = known.iter().map(|(name, _)| format!("[{name}]")).collect();
                    let message = format!("{name} is no table of a command; there are {}", known.join(", "));
                    return Err(self.mistake(key.span(), &message));
                }
            }
        }
        Ok(())
    }

    /// The table as options of `command`, but for those that are given already.
    fn options(
        &self,
        command: &Command,
        table: &DeTable<'_>,
        is_given: impl Fn(&Arg) -> bool,
    ) -> anyhow::Result<Vec<String>> {
        let mut options = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(name));
            let Some(argument) = argument.filter(|_| name != OPTION) else {
                return Err(self.mistake(key.span(), &unknown(command, name)));
            };
            let own = self.option(argument, value)?;
            for option in &own {
                if let Err(error) = command.clone().try_get_matches_from(["vpcflow", option]) {
                    let is_about_the_value =
                        matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
                    if is_about_the_value {
                        return Err(self.mistake(value.span(), &told(&error)));
                    }
                }
            }
            if !is_given(argument) {
                options.extend(own);
            }
        }
        Ok(options)
    }

    /// One key as options: none for a switch that is off, several for a list.
    fn option(&self, argument: &Arg, value: &Spanned<DeValue<'_>>) -> anyhow::Result<Vec<String>> {
        let name = argument.get_long().unwrap_or_default();
        let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
        let is_list = matches!(argument.get_action(), ArgAction::Append);
        let wrong = |value: &Spanned<DeValue<'_>>, wanted: &str| {
            let found = value.get_ref().type_str();
            self.mistake(value.span(), &format!("{name}: found {found}, wanted {wanted}"))
        };
        let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => Ok(format!("--{name}={text}")),
            DeValue::Integer(number) if number.radix() == 10 => Ok(format!("--{name}={}", number.as_str())),
            DeValue::Datetime(time) => Ok(format!("--{name}={time}")),
            _ => Err(wrong(value, "a string or a decimal integer")),
        };
        match value.get_ref() {
            DeValue::Boolean(true) if is_switch => Ok(vec![format!("--{name}")]),
            DeValue::Boolean(false) if is_switch => Ok(Vec::new()),
            _ if is_switch => Err(wrong(value, "true or false")),
            DeValue::Array(values) if is_list => values.iter().map(text).collect(),
            DeValue::Array(_) => Err(wrong(value, "one value")),
            _ => Ok(vec![text(value)?]),
        }
    }
}

fn unknown(command: &Command, name: &str) -> String {
    let error = command.clone().try_get_matches_from(["vpcflow", &format!("--{name}")]).err();
    let similar = error.as_ref().and_then(|error| error.get(ContextKind::SuggestedArg));
    match similar {
        Some(ContextValue::String(similar)) => {
            format!("{name} is no option; a similar one is {}", similar.trim_start_matches('-'))
        }
        _ => format!("{name} is no option of this command"),
    }
}

/// clap's message without its frame: `error: ` before it, usage behind it.
fn told(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    text.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}
