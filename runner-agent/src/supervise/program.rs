//! Finding and starting a program, and saying plainly why it cannot be started.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command as Starter, Stdio},
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, access},
};

use super::protocol::{Condition, Refusal};
use crate::host::Command;

/// Where programs are looked for if the environment of a command does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts `command` in a group of its own, and returns it with the end of the pipe that it prints to.
pub(super) fn start(command: &Command) -> Result<(Child, io::PipeReader), Refusal> {
    check_directory(&command.directory)?;
    let path = command.environment.iter().rev().find(|(key, _)| key == "PATH");
    let path = path.map_or(DEFAULT_PATH, |(_, value)| value.as_str());
    let program = locate(&command.program, path, &command.directory)?;
    let (output, standard_output, standard_error) = pipe().map_err(|error| refusal(command, &error))?;
    let child = Starter::new(program)
        .arg0(&command.program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.iter().map(|(key, value)| (key, value)))
        .current_dir(&command.directory)
        .stdin(Stdio::null())
        .stdout(standard_output)
        .stderr(standard_error)
        .process_group(0)
        .spawn()
        .map_err(|error| refusal(command, &error))?;
    Ok((child, output))
}

fn pipe() -> io::Result<(io::PipeReader, io::PipeWriter, io::PipeWriter)> {
    let (output, standard_output) = io::pipe()?;
    let standard_error = standard_output.try_clone()?;
    Ok((output, standard_output, standard_error))
}

/// The full path of the first of `programs` that is in one of the absolute directories of `path`.
pub(super) fn find(programs: &[String], path: &str) -> Option<String> {
    let directories = || path.split(':').filter(|directory| directory.starts_with('/'));
    programs
        .iter()
        .flat_map(|program| directories().map(move |directory| Path::new(directory).join(program)))
        .find(|candidate| is_program(candidate))
        .map(|found| found.to_string_lossy().into_owned())
}

/// As `execvp` looks for a program, but with the `path` of the new process.
fn locate(program: &str, path: &str, directory: &Path) -> Result<PathBuf, Refusal> {
    if program.contains('/') {
        let full = directory.join(program);
        return if full.exists() {
            Ok(full)
        } else {
            Err(not_found(format!("there is no program {program}")))
        };
    }
    let candidates = || path.split(':').map(|entry| directory.join(entry).join(program));
    if program.is_empty() {
        return Err(invalid("the program has no name".into()));
    }
    if let Some(found) = candidates().find(|candidate| is_program(candidate)) {
        return Ok(found);
    }
    match candidates().find(|candidate| candidate.is_file()) {
        Some(file) => Err(invalid(format!("{} may not be executed", file.display()))),
        None => Err(not_found(format!("there is no program {program} on the PATH {path}"))),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

fn check_directory(directory: &Path) -> Result<(), Refusal> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(invalid(format!("{} is no directory to start in", directory.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(invalid(format!("there is no directory {} to start in", directory.display())))
        }
        Err(error) => Err(invalid(format!("the directory {}: {error}", directory.display()))),
    }
}

/// Says why the kernel refused to start `command`.
fn refusal(command: &Command, error: &io::Error) -> Refusal {
    let program = &command.program;
    if error.kind() == io::ErrorKind::InvalidInput {
        return invalid(format!("{} holds a NUL byte", holder_of_nul(command)));
    }
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::E2BIG) => invalid(too_big(command)),
        // It was there a moment ago: what is missing is the interpreter that its first line names.
        Some(Errno::ENOENT) => not_found(format!("the interpreter that {program} asks for is missing")),
        Some(Errno::EACCES) => invalid(format!("{program} or the directory may not be used: {error}")),
        Some(Errno::ENOEXEC) => invalid(format!("{program} is no program for this machine")),
        Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) => {
            Refusal { condition: Condition::Exhausted, message: error.to_string() }
        }
        _ => Refusal { condition: Condition::Internal, message: error.to_string() },
    }
}

fn too_big(command: &Command) -> String {
    let total: usize = command.environment.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let largest = command.environment.iter().max_by_key(|(key, value)| key.len() + value.len());
    let (key, size) = largest.map_or(("none", 0), |(key, value)| (key.as_str(), value.len()));
    format!(
        "arguments and environment are too large for this system: {total} bytes of variables, of which the largest, \
         {key}, has {size}"
    )
}

fn holder_of_nul(command: &Command) -> String {
    let has_nul = |text: &str| text.contains('\0');
    let variable = command.environment.iter().find(|(key, value)| has_nul(key) || has_nul(value));
    variable
        .map_or_else(|| "an argument".into(), |(key, _)| format!("the variable {}", key.replace('\0', "?")))
}

fn invalid(message: String) -> Refusal {
    Refusal { condition: Condition::Invalid, message }
}

fn not_found(message: String) -> Refusal {
    Refusal { condition: Condition::NotFound, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: &str, path: &str, expected: Result<&str, Condition>) {
        let found = locate(program, path, Path::new("/bin"));
        let found = found.as_ref().map(|found| found.to_str().unwrap()).map_err(|refusal| refusal.condition);
        assert_eq!(found, expected, "{program} on {path}");
    }

    #[test]
    fn programs_are_looked_for_as_a_shell_does() {
        check("sh", "/nowhere:/bin:/usr/bin", Ok("/bin/sh"));
        check("sh", "", Ok("/bin/sh"));
        check("./sh", "", Ok("/bin/./sh"));
        check("/bin/sh", "", Ok("/bin/sh"));
        check("passwd", "/etc", Err(Condition::Invalid));
        check("no-such-program", "/bin:/etc", Err(Condition::NotFound));
        check("", "/bin", Err(Condition::Invalid));
    }

    #[test]
    fn the_first_wish_wins_over_the_first_directory() {
        let programs = ["no-such-program".to_owned(), "sh".to_owned(), "ls".to_owned()];
        assert_eq!(find(&programs, ":relative:/nowhere:/bin").as_deref(), Some("/bin/sh"));
        assert_eq!(find(&programs, "/nowhere"), None);
    }
}
