//! What a command and its processes say to each other: one JSON document a line, over their standard input and output.

use crate::signals::Blocked;
use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::getppid,
};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    io::{self, BufRead, Write},
};

/// The beginning of a process that `parent` started: however that ends, this one is asked to end too.
pub(crate) fn enlisted(parent: u32) -> Result<Blocked, Box<dyn Error>> {
    // Whatever it inherited: its parent ends it by a signal.
    let blocked = Blocked::all()?;
    set_pdeathsig(Signal::SIGTERM)?;
    if getppid().as_raw() != i32::try_from(parent)? {
        return Err("whoever started it is gone".into()); // before it could be told
    }
    Ok(blocked)
}

/// Says something to whoever started this process.
pub(crate) fn tell(told: &impl Serialize) -> io::Result<()> {
    write_line(&mut io::stdout().lock(), told)
}

/// Hears whoever started this process; that it has gone is an error.
pub(crate) fn hear<T: for<'a> Deserialize<'a>>() -> io::Result<T> {
    read_line(&mut io::stdin().lock())?.ok_or_else(|| io::Error::other("whoever started it is gone"))
}

pub(super) fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    // With one write, so that a kill leaves no half line in the pipe.
    output.write_all(&line)?;
    output.flush()
}

/// `None` at the end. A last line that is not complete is no line.
pub(super) fn read_line<T: for<'a> Deserialize<'a>>(input: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
