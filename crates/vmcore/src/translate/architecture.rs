//! What a processor family must tell: how its kernels may lie in memory.

use crate::Machine;
use crate::translate::aarch64::AArch64;
use crate::translate::clues::Clues;
use crate::translate::paging::Paging;
use crate::translate::regions::Region;
use crate::translate::x86::X86;
use crate::translate::x86_64::X86_64;

/// A processor family.
pub(crate) trait Architecture: Sync {
    /// Which.
    fn machine(&self) -> Machine;

    /// How the kernel may lie in memory by these clues, the most trustworthy first. Some are wrong: each is verified.
    fn candidates(&self, clues: &Clues<'_>) -> Vec<Candidate>;

    /// Where the direct map may be, now that the kernel image can be read. Verified too, with the page tables.
    fn direct_maps(&self, clues: &Clues<'_>, found: &Candidate) -> Vec<DirectMap>;
}

/// All there are.
const ARCHITECTURES: [&dyn Architecture; 3] = [&X86_64, &X86, &AArch64];

/// The architecture of a machine, if it has page tables that are understood.
pub(crate) fn of(machine: Machine) -> Option<&'static dyn Architecture> {
    ARCHITECTURES.into_iter().find(|architecture| architecture.machine() == machine)
}

/// One way in which the kernel may lie in memory.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// By which evidence: for people.
    pub(crate) how: String,
    /// Run-time minus link-time address.
    pub(crate) kaslr: u64,
    /// Ranges that need no page tables, at least that of the kernel image if its place is known.
    pub(crate) linear: Vec<Region>,
    /// The kernel's page tables, if their place is known.
    pub(crate) paging: Option<Paging>,
    /// It is not what the user says: never used, but if the kernel is there, the user is wrong.
    pub(crate) against: bool,
}

impl Candidate {
    /// A candidate whose image lies `delta` above its physical address.
    pub(crate) fn new(
        clues: &Clues<'_>,
        how: String,
        kaslr: u64,
        delta: u64,
        paging: Option<Paging>,
    ) -> Candidate {
        let image = clues.image(kaslr).map(|(first, last)| Region {
            first,
            last,
            delta,
            label: "kernel image".into(),
        });
        Candidate { how, kaslr, linear: image.into_iter().collect(), paging, against: false }
    }

    /// The physical address by the linear ranges alone.
    pub(crate) fn linear(&self, va: u64) -> Option<u64> {
        let region = self.linear.iter().find(|region| (region.first..=region.last).contains(&va));
        region.map(|region| region.physical(va))
    }
}

/// A direct map of physical memory that may exist.
#[derive(Clone, Debug)]
pub(crate) struct DirectMap {
    /// Virtual minus physical address.
    pub(crate) delta: u64,
    /// First virtual address.
    pub(crate) first: u64,
    /// Bytes that are surely part of it; 0 when that is not known.
    pub(crate) len: u64,
    /// Who says so: for people.
    pub(crate) source: String,
    /// Said by the core itself or by the user, not assumed: to be used even where page tables are missing to verify it.
    pub(crate) stated: bool,
    /// Said by the user: nothing else is used if it is wrong.
    pub(crate) by_user: bool,
}
