//! One guest in QEMU, from power on to the end.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::command::{command, last_lines, output};
use super::guest::Images;
use super::place::remove;
use super::qmp::Qmp;

/// Longer than any guest needs, also when the host is busy.
const TIMEOUT: Duration = Duration::from_secs(1500);

/// The kernel's check of its timer fails, and the guest with it, where the host has no time for an emulated CPU for a moment.
const KERNEL_OPTIONS: &str = "console=ttyS0 panic=0 no_timer_check";

/// How the guest's hardware differs between scenarios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hardware {
    pub(crate) megabytes: u32,
    /// QEMU's name of the CPU.
    pub(crate) cpu: &'static str,
    /// More of the kernel's command line.
    pub(crate) append: &'static str,
}

/// A running guest. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    qemu: Child,
    qmp: Qmp,
    control: UnixStream,
    serial: PathBuf,
    started: Instant,
}

/// Makes an empty file system in a sparse file.
pub(crate) fn make_disk(path: &Path, megabytes: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    file.set_len(megabytes << 20).with_context(|| format!("enlarging {}", path.display()))?;
    output(command("/sbin/mke2fs", ["-q", "-F", "-t", "ext4"]).arg(path))?;
    Ok(())
}

impl Machine {
    /// Boots a guest whose disks `data` and `dump` are writable; its console and sockets are made in `folder`.
    pub(crate) fn boot(
        scenario: &str,
        hardware: Hardware,
        images: &Images,
        disks: [&Path; 2],
        folder: &Path,
    ) -> Result<Machine> {
        let serial = folder.join("serial.log");
        // The path of a socket has a limit of about a hundred bytes, which a folder's path may exceed.
        let sockets = std::env::temp_dir().join(format!("ltt-kdump-e2e-{}", std::process::id()));
        fs::create_dir_all(&sockets).with_context(|| format!("making {}", sockets.display()))?;
        let (control, qmp) = (sockets.join("control"), sockets.join("qmp"));
        for file in [&serial, &control, &qmp] {
            remove(file)?;
        }
        let mut qemu =
            command("qemu-system-x86_64", ["-accel", "tcg,thread=multi", "-smp", "2", "-cpu", hardware.cpu]);
        qemu.args(["-m", &hardware.megabytes.to_string(), "-display", "none", "-nodefaults", "-no-reboot"]);
        qemu.arg("-kernel").arg(&images.kernel).arg("-initrd").arg(&images.initrd);
        qemu.args(["-append", &format!("{KERNEL_OPTIONS} scenario={scenario} {}", hardware.append)]);
        qemu.arg("-serial").arg(format!("file:{}", serial.display()));
        qemu.arg("-chardev").arg(format!("socket,id=control,path={},server=on,wait=off", control.display()));
        qemu.args(["-serial", "chardev:control"]);
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", qmp.display()));
        // With it the guest's kernel tells QEMU its VMCOREINFO, which QEMU then adds to dumps.
        qemu.args(["-device", "vmcoreinfo"]);
        qemu.args([
            "-object",
            "rng-random,filename=/dev/urandom,id=rng",
            "-device",
            "virtio-rng-pci,rng=rng",
        ]);
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,readonly=on", images.root.display()));
        for disk in disks {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio", disk.display()));
        }
        let messages = File::create(folder.join("qemu.log")).context("making qemu.log")?;
        let mut qemu =
            qemu.stdout(messages.try_clone()?).stderr(messages).spawn().context("starting QEMU")?;
        let connected = Qmp::connect(&qmp).and_then(|qmp| Ok((qmp, UnixStream::connect(&control)?)));
        match connected {
            Ok((qmp, control)) => Ok(Machine { qemu, qmp, control, serial, started: Instant::now() }),
            Err(error) => {
                let _ = qemu.kill();
                let _ = qemu.wait();
                let said = fs::read_to_string(folder.join("qemu.log")).unwrap_or_default();
                Err(error.context(format!("QEMU does not run: {}", last_lines(&said, 2))))
            }
        }
    }

    /// Waits until the guest says `mark`; returns what follows it in that line.
    pub(crate) fn wait_for(&mut self, mark: &str) -> Result<String> {
        loop {
            let ended = self.qemu.try_wait().context("waiting for QEMU")?.is_some();
            let console = fs::read(&self.serial).unwrap_or_default();
            let console = String::from_utf8_lossy(&console);
            if let Some(rest) = said(&console, mark) {
                return Ok(rest.to_owned());
            }
            let place = self.serial.display();
            if let Some(why) = said(&console, "FAIL") {
                bail!("the guest failed: {why}, see {place}");
            }
            // The panic that is meant starts another kernel instead.
            if console.contains("---[ end Kernel panic") {
                bail!(
                    "the guest's kernel panicked before it said {mark}, see {place}: {}",
                    last_lines(&console, 1)
                );
            }
            if ended {
                bail!("the guest ended before it said {mark}, see {place}: {}", last_lines(&console, 3));
            }
            if self.started.elapsed() > TIMEOUT {
                bail!("the guest did not say {mark} in {} s, see {place}", TIMEOUT.as_secs());
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// Lets the guest's script go on after it said that it waits for the host.
    pub(crate) fn answer(&mut self) -> Result<()> {
        self.control.write_all(b"go\n").context("answering the guest")
    }

    /// Stops all CPUs at once, wherever they are.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.qmp.execute("stop", &json!({})).map(drop)
    }

    /// Lets the CPUs go on.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.qmp.execute("cont", &json!({})).map(drop)
    }

    /// The formats of `dump`, ELF first. The one for Windows is none of a Linux kernel.
    pub(crate) fn dump_formats(&mut self) -> Result<Vec<String>> {
        let answer = self.qmp.execute("query-dump-guest-memory-capability", &json!({}))?;
        let formats = answer.get("formats").and_then(Value::as_array).into_iter().flatten();
        Ok(formats.filter_map(Value::as_str).filter(|name| *name != "win-dmp").map(str::to_owned).collect())
    }

    /// Writes the guest's memory. `paging`: an ELF file with the virtual addresses of the guest's page tables.
    pub(crate) fn dump(&mut self, format: &str, paging: bool, path: &Path) -> Result<()> {
        remove(path)?;
        let mut arguments = json!({ "paging": paging, "protocol": format!("file:{}", path.display()) });
        if !paging && let Some(map) = arguments.as_object_mut() {
            map.insert("format".to_owned(), json!(format));
        }
        self.qmp.execute("dump-guest-memory", &arguments).map(drop)
    }

    /// Waits until the guest has switched itself off.
    pub(crate) fn wait_for_end(&mut self) -> Result<()> {
        while self.qemu.try_wait().context("waiting for QEMU")?.is_none() {
            if self.started.elapsed() > TIMEOUT {
                bail!("the guest did not end in {} s, see {}", TIMEOUT.as_secs(), self.serial.display());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Ok(None) = self.qemu.try_wait() {
            let _ = self.qemu.kill();
            let _ = self.qemu.wait();
        }
    }
}

/// What follows `mark` in the first whole line of the console that the guest's script began with `@@` and it.
fn said<'a>(console: &'a str, mark: &str) -> Option<&'a str> {
    // The last piece may still be growing, and the kernel's messages come in between: only the script ends lines with its own.
    let (whole, _) = console.rsplit_once('\n')?;
    whole.lines().find_map(|line| {
        let rest = line.split_once("@@")?.1.strip_prefix(mark)?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_whole_lines() {
        assert_eq!(said("x\r\n@@READY\r\n", "READY"), Some(""));
        assert_eq!(said("@@TICKS 12", "TICKS"), None, "the line may still grow");
        assert_eq!(said("[ 1.0] foo @@TICKS 123\r\n", "TICKS"), Some("123"));
        assert_eq!(said("@@READYNESS\n", "READY"), None);
        assert_eq!(said("", "READY"), None);
    }
}
