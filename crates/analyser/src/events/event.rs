//! One decoded event, of whichever tracer.

use lttformat::{ctf, ltt};

use super::Fields;

/// An event. Its fields are decoded when asked for; no allocation.
#[derive(Clone, Debug)]
pub struct Event<'a>(pub(super) Kind<'a>);

/// By the family of its tracer.
#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    /// LTT 0.x.
    Ltt { name: &'a [u8], id: u16, fields: ltt::Fields<'a> },
    /// LTTng 2.x.
    Ctf(ctf::Event<'a>),
}

impl<'a> Event<'a> {
    /// Name as announced: bytes that should be text.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        match &self.0 {
            Kind::Ltt { name, .. } => name,
            Kind::Ctf(event) => event.name().as_bytes(),
        }
    }

    /// Id within its channel (LTT from 2.3 on, CTF) or trace.
    #[must_use]
    pub fn id(&self) -> u64 {
        match &self.0 {
            Kind::Ltt { id, .. } => u64::from(*id),
            Kind::Ctf(event) => event.class().id(),
        }
    }

    /// Its fields.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        match &self.0 {
            Kind::Ltt { fields, .. } => Fields::ltt(fields.clone()),
            Kind::Ctf(event) => Fields::ctf(event.fields()),
        }
    }

    /// What was recorded beside its own fields (CTF): first what the channel records with all its events (`pid`, `procname` and
    /// the like), then what is recorded with this kind of event only. Without fields if there is no such context.
    #[must_use]
    pub fn contexts(&self) -> [Fields<'a>; 2] {
        match &self.0 {
            Kind::Ltt { .. } => [Fields::ctf(None), Fields::ctf(None)],
            Kind::Ctf(event) => [Fields::ctf(event.stream_context()), Fields::ctf(event.context())],
        }
    }

    /// The event of a CTF trace itself, for what only those have.
    #[must_use]
    pub fn as_ctf(&self) -> Option<&ctf::Event<'a>> {
        match &self.0 {
            Kind::Ltt { .. } => None,
            Kind::Ctf(event) => Some(event),
        }
    }
}
