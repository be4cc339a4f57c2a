//! QEMU's machine protocol: one JSON object a line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// A connection on which commands can be given.
#[derive(Debug)]
pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects; QEMU may still be about to make the socket.
    pub(crate) fn connect(socket: &Path) -> Result<Qmp> {
        let mut tries = 0;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if tries >= 100 => {
                    return Err(error).with_context(|| format!("connecting to {}", socket.display()));
                }
                Err(_) => {
                    tries += 1;
                    sleep(Duration::from_millis(100));
                }
            }
        };
        let mut qmp = Qmp { reader: BufReader::new(stream) };
        qmp.read().context("reading QEMU's greeting")?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Gives one command and waits for its result.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let text = json!({ "execute": command, "arguments": arguments }).to_string();
        let stream = self.reader.get_mut();
        stream.write_all(text.as_bytes()).with_context(|| format!("asking QEMU for {command}"))?;
        loop {
            let mut answer = self.read().with_context(|| format!("waiting for QEMU's {command}"))?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command} {arguments}: {error}");
            }
            // Anything else is an event.
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU has ended");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_between_command_and_answer_are_skipped() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs
            .write_all(b"{\"event\": \"STOP\"}\n{\"return\": {\"a\": 1}}\n{\"error\": {\"desc\": \"no\"}}\n")
            .unwrap();
        let mut qmp = Qmp { reader: BufReader::new(ours) };
        assert_eq!(qmp.execute("stop", &json!({})).unwrap(), json!({ "a": 1 }));
        let error = qmp.execute("dump", &json!({})).unwrap_err();
        assert!(error.to_string().contains("no"), "{error}");
        drop(theirs);
        assert!(qmp.execute("quit", &json!({})).is_err());
    }
}
