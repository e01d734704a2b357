//! The scripts: each runs as a whole and on one partition. What they guarantee is in the README.

#[cfg(test)]
use crate::fault::Fault;

const PRELUDE: &str = include_str!("lua/prelude.lua");

const ALWAYS: &str = "#!lua flags=allow-oom";

/// All scripts.
pub(crate) struct Scripts {
    pub(crate) create: Script,
    pub(crate) fetch: Script,
    pub(crate) release: Script,
    pub(crate) renew: Script,
    pub(crate) delete: Script,
    pub(crate) take_back: Script,
    pub(crate) delete_many: Script,
    pub(crate) sweep: Script,
    pub(crate) add: Script,
    pub(crate) farewell_done: Script,
    pub(crate) list: Script,
    pub(crate) count: Script,
    pub(crate) cache_begin: Script,
    pub(crate) cache_end: Script,
    pub(crate) cache_put: Script,
    pub(crate) cache_read: Script,
    pub(crate) cache_list: Script,
    pub(crate) cache_forget: Script,
    pub(crate) remember: Script,
    pub(crate) own: Script,
    pub(crate) disown: Script,
    pub(crate) known: Script,
    pub(crate) join: Script,
}

/// A script and its hash, by which the store knows it.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) hash: String,
}

impl Script {
    fn new(text: String) -> Self {
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self::over(&|text| text.to_owned())
    }

    /// With a rule broken. An edit that finds nothing to change would break no rule, and a test would show nothing.
    #[cfg(test)]
    pub(crate) fn with(fault: Fault) -> Self {
        let found = std::cell::RefCell::new(std::collections::HashSet::new());
        let scripts = Self::over(&|text| {
            fault.edits().iter().fold(text.to_owned(), |text, (from, to)| {
                if text.contains(from) {
                    found.borrow_mut().insert(*from);
                }
                text.replace(from, to)
            })
        });
        for (from, _) in fault.edits() {
            assert!(found.borrow().contains(from), "{fault:?}: no script has: {from}");
        }
        scripts
    }

    fn over(edit: &dyn Fn(&str) -> String) -> Self {
        let of_partition = |text: &str| Script::new(edit(&[PRELUDE, text].join("\n")));
        // What removes, and what uses what is there, works also where no memory is left for more.
        let always = |text: &str| Script::new(edit(&[ALWAYS, PRELUDE, text].join("\n")));
        Self {
            create: of_partition(include_str!("lua/create.lua")),
            fetch: always(include_str!("lua/fetch.lua")),
            release: always(include_str!("lua/release.lua")),
            renew: always(include_str!("lua/renew.lua")),
            delete: always(include_str!("lua/delete.lua")),
            take_back: always(include_str!("lua/take_back.lua")),
            delete_many: always(include_str!("lua/delete_many.lua")),
            sweep: always(include_str!("lua/sweep.lua")),
            add: of_partition(include_str!("lua/add.lua")),
            farewell_done: always(include_str!("lua/farewell_done.lua")),
            list: of_partition(include_str!("lua/list.lua")),
            count: of_partition(include_str!("lua/count.lua")),
            cache_begin: of_partition(include_str!("lua/cache_begin.lua")),
            cache_end: always(include_str!("lua/cache_end.lua")),
            cache_put: of_partition(include_str!("lua/cache_put.lua")),
            cache_read: of_partition(include_str!("lua/cache_read.lua")),
            cache_list: of_partition(include_str!("lua/cache_list.lua")),
            cache_forget: always(include_str!("lua/cache_forget.lua")),
            remember: of_partition(include_str!("lua/remember.lua")),
            own: of_partition(include_str!("lua/own.lua")),
            disown: always(include_str!("lua/disown.lua")),
            known: of_partition(include_str!("lua/known.lua")),
            join: Script::new(include_str!("lua/join.lua").to_owned()),
        }
    }
}
