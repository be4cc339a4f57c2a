#!/bin/sh
# Process 1 of the guest. What to do is in scenario=... of the kernel's command line.
#
# Lines that begin with @@ are for the host, which reads the first serial line; it answers on the second.
#   vda  root, read-only       vdb  /data, where the tracer writes       vdc  /dump, where the kdump kernel writes
export PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root LTTNG_HOME=/run/lttng-home
exec >/dev/ttyS0 2>&1 </dev/null

say() { echo "@@$*"; }
fail() { say "FAIL $*"; sync; sleep 1; poweroff -f; }
argument() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
wait_for_host() { say "$1"; read -r answer < /dev/ttyS1; echo "host: $answer"; }

mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lttng-home /run/lttng /dev/shm
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
stty -F /dev/ttyS1 raw -echo
ifconfig lo 127.0.0.1 up
scenario=$(argument scenario)
uname -a
say "BOOT $scenario"

if [ "$scenario" = dump ]; then # the second kernel, started by the panic of the first
  mount -t ext4 /dev/vdc /dump || fail "mounting /dump"
  time cp /proc/vmcore /dump/elf || fail "copying /proc/vmcore"
  # -d 31: without pages that are free, zero, cached or of user space.
  save() { time makedumpfile -d 31 "$@" || fail "makedumpfile $*"; }
  save -c /proc/vmcore /dump/kdump-zlib
  save -l /proc/vmcore /dump/kdump-lzo
  save /proc/vmcore /dump/kdump-raw
  save -E /proc/vmcore /dump/elf-filtered
  save -l --split /proc/vmcore /dump/split.1 /dump/split.2
  save -l -F /proc/vmcore > /dump/flattened
  ls -l /dump
  umount /dump
  say DONE
  poweroff -f
fi

mount -t ext4 /dev/vdb /data || fail "mounting /data"

# Work that makes system calls, switches of tasks, interrupts and file system events: $1 rounds.
load() {
  round=0
  while [ $round -lt "$1" ]; do
    ls -lR /lib /sbin >/dev/null 2>&1
    dd if=/dev/zero of=/data/junk."$2" bs=4k count=64 conv=fsync 2>/dev/null
    cat /proc/[0-9]*/stat >/dev/null 2>&1
    sleep 0.01
    echo hello | cat | cat >/dev/null
    round=$((round + 1))
  done
}

# Numbered events at a steady pace, for ever: each number appears in the trace once, and none is left out.
tick() {
  number=0
  while :; do
    number=$((number + 1))
    echo "tick $number" > /proc/lttng-logger
    echo $number > /run/ticks
    usleep 2000
  done
}

start_tracing() {
  lttng-sessiond --daemonize --verbose >/run/sessiond.log 2>&1 || fail "starting lttng-sessiond"

  # To disk, events discarded when full: few kinds of events (compact headers) with contexts, spliced; all system calls (large
  # headers), mapped; and the ticks.
  lttng create disk --output=/data/disk
  lttng enable-channel --kernel --session=disk --discard --subbuf-size=128k --num-subbuf=4 net
  lttng enable-event --kernel --session=disk --channel=net \
    sched_switch,sched_wakeup,irq_handler_entry,irq_handler_exit,irq_softirq_entry,irq_softirq_exit
  lttng add-context --kernel --session=disk --channel=net --type=pid --type=procname --type=vpid
  lttng enable-channel --kernel --session=disk --discard --subbuf-size=256k --num-subbuf=4 --output=mmap sys
  lttng enable-event --kernel --session=disk --channel=sys --syscall --all
  lttng enable-channel --kernel --session=disk --discard --subbuf-size=8k --num-subbuf=8 --output=mmap ticks
  lttng enable-event --kernel --session=disk --channel=ticks lttng_logger

  # A flight recorder: the oldest events are overwritten.
  lttng create snap --snapshot --output=/data/snap
  lttng enable-channel --kernel --session=snap --subbuf-size=64k --num-subbuf=4 fr
  lttng enable-event --kernel --session=snap --channel=fr 'sched_*,irq_*'
  lttng enable-event --kernel --session=snap --channel=fr --syscall --all
  lttng enable-event --kernel --session=snap --channel=fr lttng_logger

  # So few events that no sub-buffer is ever full: all there is lies in memory. In files of a limited size.
  lttng create calm --output=/data/calm
  lttng enable-channel --kernel --session=calm --subbuf-size=16k --num-subbuf=2 --tracefile-size=64k few
  lttng enable-event --kernel --session=calm --channel=few module_load,module_free
  lttng enable-event --kernel --session=calm --channel=few --syscall sethostname

  # Never started.
  lttng create idle --output=/data/idle
  lttng enable-channel --kernel --session=idle never
  lttng enable-event --kernel --session=idle --channel=never sched_switch

  for session in disk snap; do lttng start $session || fail "starting session $session"; done
  lttng list disk
  lttng list snap
}

consumers() {
  for process in /proc/[0-9]*; do
    case "$(cat $process/comm 2>/dev/null)" in lttng-consumerd | consumerd*) echo ${process#/proc/} ;; esac
  done
}

# Sessions to disk are ended the usual way, so that everything in the buffers reaches the disk.
finish() {
  for session in disk calm; do lttng destroy $session || fail "ending session $session"; done
  lttng destroy snap
  lttng destroy idle
  cp /run/sessiond.log /data/
  rm -f /data/junk.*
  sync
  umount /data
  say DONE
  poweroff -f
}

start_tracing
case $scenario in
frozen) # All stands still when the memory is dumped. Afterwards the guest reads its own buffers.
  tick & ticker=$!
  load 8 0
  lttng start calm
  hostname calm-before
  sync
  sleep 2
  sync
  # What is consumed up to here is on disk; from now on all stays in memory, until that is full.
  stopped=$(consumers)
  [ -n "$stopped" ] || fail "no consumer daemon"
  kill -STOP $stopped
  load 30 0
  kill $ticker
  stop-no-wait disk snap || fail "stopping the sessions"
  hostname calm-after
  sync
  sleep 1
  wait_for_host READY
  kill -CONT $stopped
  lttng snapshot record --session=snap || fail "recording the snapshot"
  finish
  ;;
stopped) # In full flight. Afterwards it goes on for a while, so that what was unfinished gets finished.
  lttng start calm
  tick & ticker=$!
  load 1000000 0 & first=$!
  load 1000000 1 & second=$!
  sleep 12
  hostname calm
  wait_for_host READY
  sleep 1
  kill $ticker $first $second
  finish
  ;;
panic) # The last number written is told before the end, and the second kernel writes the core.
  kexec -p /boot/vmlinuz --initrd=/boot/initrd.gz \
    --append="console=ttyS0 irqpoll nr_cpus=1 reset_devices no_timer_check scenario=dump" || fail "loading the second kernel"
  lttng start calm
  load 1000000 0 &
  load 1000000 1 &
  tick & ticker=$!
  sleep 12
  hostname calm
  kill $ticker
  wait $ticker 2>/dev/null
  echo "last words" > /proc/lttng-logger
  # The answer says that the host has read it: what is still on its way to the console dies with the kernel.
  wait_for_host "TICKS $(cat /run/ticks)"
  echo 1 > /proc/sys/kernel/sysrq
  echo c > /proc/sysrq-trigger
  ;;
*) fail "expected frozen, stopped or panic, found $scenario" ;;
esac
fail "the end was reached"
