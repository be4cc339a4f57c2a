//! Finding the address space: evidence in order, each conclusion verified, each step told.

use crate::translate::architecture::{self, Architecture, Candidate, DirectMap};
use crate::translate::clues::{Clues, Hints};
use crate::translate::regions::{Region, Regions};
use crate::translate::registers::{self, Registers};
use crate::translate::search;
use crate::translate::segments;
use crate::translate::space::AddressSpace;
use crate::translate::tlb::Tlb;
use crate::translate::verify::{Content, Tables, Verdict, verify};
use crate::{Error, Note, PageError, PhysAddr, PhysMemory, Result, Segment, VirtAddr, Vmcoreinfo};
use std::ops::ControlFlow;

/// Places of the banner that are tried: those of a kernel, of a capture kernel, and copies that happen to lie likewise.
const BANNERS_MAX: usize = 16;
/// Rejected candidates that are told of one by one.
const REJECTED_MAX: usize = 24;

/// Physical addresses that are tried to verify a direct map.
const PROBES_MAX: usize = 64;

/// What a core has to go by.
pub(crate) struct Source<'a> {
    pub(crate) mem: &'a dyn PhysMemory,
    pub(crate) notes: &'a [Note],
    pub(crate) vmcoreinfo: Option<&'a Vmcoreinfo>,
    pub(crate) segments: &'a [Segment],
    pub(crate) header_phys_base: Option<u64>,
}

/// See [`AddressSpace::locate`].
pub(crate) fn locate(source: &Source<'_>, hints: &Hints<'_>) -> Result<AddressSpace> {
    let mut search = Search {
        source,
        hints,
        architecture: architecture::of(source.mem.machine()),
        registers: registers::from_notes(source.notes, source.mem.abi()),
        tried: Vec::new(),
        rejected: Vec::new(),
        best: None,
        elsewhere: None,
    };
    search.run();
    let found = match search.best.take() {
        Some(found) if found.is_usable() && search.elsewhere.is_none() => found,
        unusable => {
            if let Some(Found { stage, candidate, verdict, .. }) = unusable {
                search.reject(&stage, &candidate, &verdict);
            }
            let reason = search.reason();
            let Search { mut tried, rejected, .. } = search;
            tried.extend(rejected.into_iter().map(|place| place.story));
            return Err(Error::AddressSpace { reason, tried });
        }
    };
    let rejected = search.rejected.into_iter().map(|place| place.story).collect();
    found
        .into_space(source, hints, rejected)
        .map_err(|reason| Error::AddressSpace { reason, tried: search.tried })
}

/// A place where the kernel is not.
struct Rejected {
    /// By which evidence, and the first thing that is wrong there.
    brief: String,
    /// All that was looked at.
    story: String,
}

/// The best candidate so far.
struct Found {
    /// Which evidence.
    stage: String,
    candidate: Candidate,
    verdict: Verdict,
    vmcoreinfo: Option<Vmcoreinfo>,
    banner_at: Option<PhysAddr>,
    /// The core or the user says it is so: to be used even if nothing can be checked.
    stated: bool,
}

struct Search<'a> {
    source: &'a Source<'a>,
    hints: &'a Hints<'a>,
    architecture: Option<&'static dyn Architecture>,
    registers: Vec<Registers>,
    /// Evidence that led to nothing.
    tried: Vec<String>,
    rejected: Vec<Rejected>,
    best: Option<Found>,
    /// Where the kernel is against what the user says.
    elsewhere: Option<String>,
}

impl Search<'_> {
    fn run(&mut self) {
        let (hints, source) = (self.hints, self.source);
        let stated = match (&hints.vmcoreinfo, source.vmcoreinfo) {
            (Some(info), _) => Some((info, "VMCOREINFO given by the user")),
            (None, Some(info)) => Some((info, "VMCOREINFO of the core")),
            (None, None) => None,
        };
        if let Some((info, stage)) = stated {
            if self.stage(stage, Some(info), None, true) {
                return;
            }
        } else {
            self.tried.push("the core has no VMCOREINFO".into());
        }
        if self.architecture.is_some() {
            // Cheap, and as sure as a search when it can be verified: hence before the searches.
            let known = hints.first(&["linux_banner", "init_uts_ns"]).is_some();
            if known || hints.phys_base.is_some() {
                if self.stage("registers, program headers and symbols", None, None, hints.phys_base.is_some())
                {
                    return;
                }
            } else {
                self.tried.push("no symbols".into());
            }
            if self.search_vmcoreinfo(stated.map(|(info, _)| info)) || self.search_banner() {
                return;
            }
        }
        if self.architecture.is_none() {
            self.tried.push(format!("page tables of {} are not understood", source.mem.machine()));
        }
        self.segments(stated.map(|(info, _)| info));
    }

    fn search_vmcoreinfo(&mut self, known: Option<&Vmcoreinfo>) -> bool {
        let mut found = search::find_vmcoreinfo(self.source.mem);
        found.retain(|(_, info)| Some(info) != known);
        if found.is_empty() {
            self.tried.push("no other VMCOREINFO in memory".into());
        }
        found.iter().any(|(at, info)| {
            self.stage(&format!("VMCOREINFO found at physical {at}"), Some(info), None, false)
        })
    }

    fn search_banner(&mut self) -> bool {
        let Some(linked) = self.hints.first(&["linux_banner"]) else { return false };
        let needle = self.hints.banner_line().unwrap_or(b"Linux version ");
        let (mut count, mut done) = (0, false);
        search::scan(self.source.mem, needle, &mut |at| {
            // Kernels move by pages. Logs are full of copies, which lie anywhere.
            if (linked ^ at.0) & 0xfff == 0 {
                count += 1;
                search::found_at(self.source.mem, at.0, needle.len() as u64);
                done = self.stage("search for the banner", None, Some(at), false);
            }
            if done || count == BANNERS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if !done {
            self.tried
                .push(format!("the banner is in memory {count} times, never where it leads to a kernel"));
        }
        done
    }

    fn segments(&mut self, vmcoreinfo: Option<&Vmcoreinfo>) {
        let clues = self.clues(vmcoreinfo, None);
        if let Some(candidate) = segments::candidate(&clues) {
            let verdict = verify(&clues, &candidate);
            self.consider("program headers alone", candidate, verdict, vmcoreinfo, None, true);
        } else {
            self.tried.push("no program header carries a kernel address".into());
        }
    }

    fn clues<'c>(&'c self, vmcoreinfo: Option<&'c Vmcoreinfo>, banner_at: Option<PhysAddr>) -> Clues<'c> {
        let Source { mem, segments, header_phys_base, .. } = *self.source;
        Clues {
            mem,
            hints: self.hints,
            vmcoreinfo,
            segments,
            registers: &self.registers,
            header_phys_base,
            banner_at,
        }
    }

    /// Tries all candidates of one kind of evidence; whether that is good enough to end the search.
    fn stage(
        &mut self,
        stage: &str,
        info: Option<&Vmcoreinfo>,
        banner_at: Option<PhysAddr>,
        stated: bool,
    ) -> bool {
        let Some(architecture) = self.architecture else { return false };
        let candidates = architecture.candidates(&self.clues(info, banner_at));
        if candidates.is_empty() && banner_at.is_none() {
            self.tried.push(format!("{stage}: no symbol leads to a kernel"));
        }
        for candidate in candidates {
            let verdict = verify(&self.clues(info, banner_at), &candidate);
            if candidate.against {
                let known = self.best.as_ref().map(|best| best.verdict.content);
                let is_there = verdict.content >= Content::Disputed && verdict.tables != Tables::Disagree;
                if is_there && known < Some(Content::Disputed) {
                    self.elsewhere = Some(format!("by {}, {}", candidate.how, verdict.reason()));
                    return true;
                }
                continue;
            }
            let perfect = verdict.is_perfect();
            self.consider(stage, candidate, verdict, info, banner_at, stated);
            if perfect {
                return true;
            }
        }
        self.best.as_ref().is_some_and(|best| best.verdict.content >= Content::Disputed)
    }

    fn consider(
        &mut self,
        stage: &str,
        candidate: Candidate,
        verdict: Verdict,
        info: Option<&Vmcoreinfo>,
        banner_at: Option<PhysAddr>,
        stated: bool,
    ) {
        // What the user says is not made to fit by giving up the page tables.
        let bent = self.hints.phys_base.is_some() && verdict.tables == Tables::Disagree;
        let better = !verdict.is_refuted()
            && !bent
            && self.best.as_ref().is_none_or(|best| verdict.rank() > best.verdict.rank());
        if better {
            let (stage, vmcoreinfo) = (stage.into(), info.cloned());
            self.best = Some(Found { stage, candidate, verdict, vmcoreinfo, banner_at, stated });
            return;
        }
        self.reject(stage, &candidate, &verdict);
    }

    fn reject(&mut self, stage: &str, candidate: &Candidate, verdict: &Verdict) {
        let story = format!("{stage}: {}: {}", candidate.how, verdict.reason());
        if self.rejected.len() < REJECTED_MAX && self.rejected.iter().all(|known| known.story != story) {
            let first = verdict.reasons.first().map_or("", String::as_str);
            self.rejected.push(Rejected { brief: format!("by {}, {first}", candidate.how), story });
        }
    }

    /// Why there is no kernel, in one line.
    fn reason(&self) -> String {
        const EXPECTED: &str = "expected init_uts_ns or linux_banner";
        if let (Some(base), Some(elsewhere)) = (self.hints.phys_base, &self.elsewhere) {
            return format!("expected it by phys_base {base:#x}, as given, found it elsewhere: {elsewhere}");
        }
        match self.rejected.as_slice() {
            [only] => format!("{EXPECTED} in the only likely place, found neither: {}", only.brief),
            [first, ..] => {
                let count = self.rejected.len();
                format!("{EXPECTED} in one of {count} likely places, found neither; the first: {}", first.brief)
            }
            [] if self.architecture.is_none() => format!(
                "expected page tables of x86_64, i386 or aarch64, or program headers with kernel addresses, found a core of {} \
                 without",
                self.source.mem.machine()
            ),
            [] => "expected VMCOREINFO in the core or in its memory, or symbols of the kernel and its banner, found none".into(),
        }
    }
}

impl Found {
    fn is_usable(&self) -> bool {
        self.stated || self.verdict.content >= Content::Disputed || self.verdict.tables == Tables::Agree
    }

    /// Errors: the user says where the direct map begins, and the page tables say otherwise.
    fn into_space(
        self,
        source: &Source<'_>,
        hints: &Hints<'_>,
        rejected: Vec<String>,
    ) -> Result<AddressSpace, String> {
        let Found { stage, mut candidate, verdict, vmcoreinfo, banner_at, .. } = self;
        let mem = source.mem;
        let verified = verdict.content >= Content::Disputed || verdict.tables == Tables::Agree;
        let symbols_fit = verdict.content != Content::Disputed;
        let trust = match (verified, symbols_fit) {
            (true, true) => "verified",
            (true, false) => "verified, but with symbols of another kernel or a wrong offset",
            (false, _) => "NOT VERIFIED",
        };
        let mut story = vec![
            format!("{}: {stage}, {}", mem.machine(), candidate.how),
            format!("kernel image moved by {:#x}", candidate.kaslr),
            format!("{trust}: {}", verdict.reason()),
        ];
        if verdict.tables == Tables::Disagree {
            candidate.paging = None;
        }
        let clues = Clues {
            mem,
            hints,
            vmcoreinfo: vmcoreinfo.as_ref(),
            segments: source.segments,
            registers: &[],
            header_phys_base: source.header_phys_base,
            banner_at,
        };
        let maps = architecture::of(mem.machine())
            .map_or_else(Vec::new, |architecture| architecture.direct_maps(&clues, &candidate));
        let direct = direct_map(&clues, &candidate, maps, &mut story)?;
        let mut linear = std::mem::take(&mut candidate.linear);
        if let Some(map) = &direct
            && map.len > 0
        {
            let last = map.first.saturating_add(map.len - 1).min(mem.abi().word_mask());
            linear.push(Region {
                first: map.first,
                last,
                delta: map.delta,
                label: format!("direct map, {}", map.source),
            });
        }
        match candidate.paging {
            Some(paging) => {
                story.push(format!("page tables: {} from physical {:#x}", paging.form.name, paging.root))
            }
            None => {
                linear.extend(segments::candidate(&clues).into_iter().flat_map(|segments| segments.linear));
                story
                    .push("page tables: not known; vmalloc and module addresses cannot be translated".into());
            }
        }
        let regions = Regions::new(linear);
        // An ELF core has a segment for every hole.
        story.extend(regions.iter().take(8).map(|region| format!("linear {region}")));
        story.extend(
            regions.iter().nth(8).map(|_| format!("and {} linear ranges more", regions.iter().count() - 8)),
        );
        story.extend(rejected.into_iter().map(|line| format!("rejected: {line}")));
        let direct_map = direct.map(|map| {
            (VirtAddr(map.first), PhysAddr(map.first.wrapping_sub(map.delta) & mem.abi().word_mask()))
        });
        let kaslr = candidate.kaslr;
        let mut space = AddressSpace {
            kaslr,
            regions,
            paging: candidate.paging,
            tlb: Tlb::new(),
            direct_map,
            vmcoreinfo,
            verified,
            symbols_fit,
            story,
        };
        if space.vmcoreinfo.is_none()
            && let Some(info) = search::vmcoreinfo_by_symbols(&space, mem, hints)
        {
            space.story.push("VMCOREINFO read from the kernel's memory".into());
            space.vmcoreinfo = Some(info);
        }
        Ok(space)
    }
}

/// The first of the direct maps that page tables confirm, or that the core or the user states where they are missing.
///
/// Errors: the user states one, and page tables deny it.
fn direct_map(
    clues: &Clues<'_>,
    candidate: &Candidate,
    maps: Vec<DirectMap>,
    story: &mut Vec<String>,
) -> Result<Option<DirectMap>, String> {
    let mut denied = None;
    let ranges = clues.mem.ranges();
    // The root table is memory that every direct map shows; the rest is for cores in which the way to it is missing.
    let probes = || {
        let spread = ranges.iter().step_by(ranges.len().div_ceil(PROBES_MAX).max(1));
        candidate.paging.iter().map(|paging| paging.root).chain(spread.map(|range| range.start))
    };
    for mut map in maps {
        let mut tables = Tables::Unknown;
        let begin = map.first.wrapping_sub(map.delta) & clues.mem.abi().word_mask();
        for pa in probes() {
            let Some(paging) = candidate.paging else { break };
            let va = pa.wrapping_add(map.delta) & clues.mem.abi().word_mask();
            if va.wrapping_sub(map.first) >= map.len.max(1) {
                // No direct map begins behind the page tables.
                if map.by_user && pa == paging.root && pa < begin {
                    tables = Tables::Disagree;
                    break;
                }
                continue;
            }
            tables = match paging.walk(clues.mem, va) {
                Ok(found) if found.pa == pa => Tables::Agree,
                Ok(_) | Err(PageError::NotMapped { .. } | PageError::NonCanonical) => Tables::Disagree,
                Err(_) => continue,
            };
            break;
        }
        match tables {
            Tables::Agree => map.source.push_str(", page tables agree"),
            Tables::Unknown if map.stated => {}
            Tables::Unknown => continue,
            Tables::Disagree => {
                if map.by_user {
                    denied.get_or_insert(begin);
                }
                if map.stated {
                    story.push(format!(
                        "no direct map at {:#x} ({}): page tables disagree",
                        map.first, map.source
                    ));
                }
                continue;
            }
        }
        return Ok(Some(map));
    }
    match denied {
        Some(begin) => Err(format!(
            "expected the direct map to begin at physical {begin:#x}, as given, found page tables that disagree"
        )),
        None => Ok(None),
    }
}
