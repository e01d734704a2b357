package rke

import "time"

// Created is a session that was opened.
type Created struct {
	SessionID string    `json:"session_id"`
	Domain    string    `json:"domain"`
	CsID      string    `json:"cs_id"`
	ExpiresAt time.Time `json:"expires_at"`
	// FromCache is whether it was opened from the cache, without asking a RAIDA. It has a key of its own in any case.
	FromCache bool `json:"from_cache"`
}

// Row is a session in a list.
type Row struct {
	SessionID string    `json:"session_id"`
	Domain    string    `json:"domain"`
	CsID      string    `json:"cs_id"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// EncryptCount counts encryptions and sealings.
	EncryptCount uint64 `json:"encrypt_count"`
	// DecryptCount counts decryptions and openings.
	DecryptCount uint64 `json:"decrypt_count"`
}

// Shown is a session, and how its key was made.
type Shown struct {
	Row
	// KeyBits is the strength of the key: 256, or 8.
	KeyBits  int   `json:"key_bits"`
	Envelope []int `json:"envelope"`
	// Raidas are the indexes of the RAIDAs whose shares were used.
	Raidas []int `json:"raidas"`
	// Liars are the indexes of the RAIDAs that gave a wrong share.
	Liars     []int `json:"liars"`
	FromCache bool  `json:"from_cache"`
	// Confirmed is whether the Content Server has shown that it has the same key.
	Confirmed bool `json:"confirmed"`
	// KeyID is the name of the session's key, the same at the Content Server: 32 hexadecimal digits. Not secret. Nil where
	// the key has 8 bits.
	KeyID *string `json:"key_id"`
	// ForwardSecret is whether recorded traffic stays secret when the coins and the secrets of all servers are stolen
	// later.
	ForwardSecret bool `json:"forward_secret"`
	// Authenticated is how well the two ends know each other: "strong", "weak", or "no" where the key has 8 bits.
	Authenticated string `json:"authenticated"`
	// Coin is the coin that the Content Server has seen proven, as "0:1001"; nil where it has seen none.
	Coin *string `json:"coin"`
	// TunnelBrokenOff says why the Content Server broke off the session's tunnel that ended last; nil where it did not.
	TunnelBrokenOff *string `json:"tunnel_broken_off"`
	// KeyGone is whether the Content Server said that it no longer has the session's key when the latest tunnel was opened.
	KeyGone bool `json:"key_gone"`
}

// Sessions are the sessions of a daemon.
type Sessions struct {
	// Total counts those that have expired and wait for the clean-up, too.
	Total    int   `json:"total"`
	Active   int   `json:"active"`
	Sessions []Row `json:"sessions"`
	// Weak counts those of Sessions whose key has 8 bits.
	Weak int `json:"weak"`
	// WeaklyAuthenticated counts those that have a strong key, but ends that know each other by 1-byte shares only.
	WeaklyAuthenticated int `json:"weakly_authenticated"`
}

// Renewed is a session that lives longer now.
type Renewed struct {
	SessionID string    `json:"session_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Deleted is a session that has ended.
type Deleted struct {
	SessionID string `json:"session_id"`
	// Wipe is the erasure receipt, if requested.
	Wipe *Wipe `json:"wipe,omitempty"`
	// Remote is the state of the key at the Content Server, if the deletion waited for it: "forgotten",
	// "pending", or "unsupported" where the key had 8 bits.
	Remote string `json:"remote,omitempty"`
}

// Wipe is the erasure receipt: what a memory scan found after a key was wiped.
type Wipe struct {
	ScannedBytes uint64 `json:"scanned_bytes"`
	// Hits are scratch stacks that had not been wiped, and are now: 0, or a bug of the daemon.
	Hits   uint64 `json:"hits"`
	Micros uint64 `json:"micros"`
	// Machines have searched, if several share sessions: bytes and hits are those of all of them. 0 otherwise.
	Machines int `json:"machines"`
}

// Keys are the cached keys.
type Keys struct {
	Total int   `json:"total"`
	Keys  []Key `json:"keys"`
}

// Key describes a cached key, which opens later sessions without asking a RAIDA.
type Key struct {
	Domain    string    `json:"domain"`
	CsID      string    `json:"cs_id"`
	ExpiresAt time.Time `json:"expires_at"`
	KeyBits   int       `json:"key_bits"`
	// Coins are those that a wallet must hold to be served by it, as "0:1001".
	Coins []string `json:"coins"`
}

// Discovered is what DNS says about a domain.
type Discovered struct {
	Domain            string   `json:"domain"`
	TargetHost        string   `json:"target_host"`
	TargetPort        int      `json:"target_port"`
	MinRaidasRequired int      `json:"min_raidas_required"`
	KeySets           []KeySet `json:"key_sets"`
	// Warnings say what was left out of the records, and why.
	Warnings []string `json:"warnings,omitempty"`
}

// KeySet is a key set of a Content Server.
type KeySet struct {
	KeyID string `json:"key_id"`
	CsID  string `json:"cs_id"`
	// ServerCount counts the RAIDA servers that can be used.
	ServerCount int `json:"server_count"`
}

// Raidas is the health of the RAIDAs.
type Raidas struct {
	// Required is the fewest that make a key.
	Required int `json:"required"`
	// Margin is the number of spare RAIDAs: how many of the healthy ones may fail; nil before the first exchange.
	Margin *int    `json:"margin"`
	Raidas []Raida `json:"raidas"`
	// Directory is the RAIDA directory of the guardians; nil if the daemon has none.
	Directory *RaidaDirectory `json:"directory"`
}

// RaidaDirectory is what guardians agree on.
type RaidaDirectory struct {
	Guardians int `json:"guardians"`
	// Needed is how many of the guardians have to agree.
	Needed   int        `json:"needed"`
	AgreedAt *time.Time `json:"agreed_at"`
	AskedAt  *time.Time `json:"asked_at"`
	// Answered is how many gave a list when they were asked last.
	Answered *int `json:"answered"`
	// Faults are those that gave none then, or disagreed with most.
	Faults []struct {
		Guardian string `json:"guardian"`
		Fault    string `json:"fault"`
	} `json:"faults"`
	Raidas []struct {
		Raida     int       `json:"raida"`
		Endpoints []string  `json:"endpoints"`
		Guardians int       `json:"guardians"`
		AgreedAt  time.Time `json:"agreed_at"`
	} `json:"raidas"`
}

// Raida is the health of one RAIDA.
type Raida struct {
	Raida    int     `json:"raida"`
	Endpoint *string `json:"endpoint"`
	// State is "well", "failing", "no_key_set", "lying" or "unknown".
	State    string   `json:"state"`
	LastMs   *float64 `json:"last_ms"`
	MedianMs *float64 `json:"median_ms"`
	Asked    uint64   `json:"asked"`
	Answered uint64   `json:"answered"`
	Lies     uint64   `json:"lies"`
	// Form of its responses if that is not the usual one: "envelope_5_garbled",
	// "envelope_1_restarting" or "envelope_1_continuing".
	Form        *string    `json:"form"`
	LastFault   *string    `json:"last_fault"`
	LastFaultAt *time.Time `json:"last_fault_at"`
	// HistoryMs are the last exchanges that asked it, oldest first; nil where it gave no right share.
	HistoryMs []*float64 `json:"history_ms"`
}

// Status is the state of the daemon.
type Status struct {
	Sessions struct {
		Total  int `json:"total"`
		Active int `json:"active"`
		Max    int `json:"max"`
	} `json:"sessions"`
	Keystore struct {
		Total           int `json:"total"`
		Valid           int `json:"valid"`
		Expired         int `json:"expired"`
		Max             int `json:"max"`
		DefaultTTLHours int `json:"default_ttl_hours"`
	} `json:"keystore"`
	Config struct {
		SessionTimeoutSec int `json:"session_timeout_sec"`
	} `json:"config"`
	SecretMemory struct {
		// Kind is "secretmem" or "locked".
		Kind      string `json:"kind"`
		Bytes     uint64 `json:"bytes"`
		Slots     int    `json:"slots"`
		SlotsUsed int    `json:"slots_used"`
		// Inspection is "refused" or "allowed".
		Inspection string `json:"inspection"`
		// ResiduesFound are scratch stacks that receipts found not wiped: 0, or a bug of the daemon.
		ResiduesFound uint64 `json:"residues_found"`
	} `json:"secret_memory"`
	Daemon struct {
		UptimeSec uint64    `json:"uptime_sec"`
		StartedAt time.Time `json:"started_at"`
		// Example is a session that can be opened here; with `rke dev` only.
		Example *struct {
			Domain     string `json:"domain"`
			WalletPath string `json:"wallet_path"`
		} `json:"example,omitempty"`
	} `json:"daemon"`
	// RemoteDeletions counts deleted keys at Content Servers.
	RemoteDeletions struct {
		// Pending are those not confirmed yet.
		Pending uint64 `json:"pending"`
		// Confirmed are those confirmed since the daemon started.
		Confirmed uint64 `json:"confirmed"`
	} `json:"remote_deletions"`
	// Sandbox is what the kernel refuses the daemon.
	Sandbox struct {
		// Landlock is "off", "writes" or "reads_and_writes".
		Landlock   string `json:"landlock"`
		Seccomp    bool   `json:"seccomp"`
		NoNewPrivs bool   `json:"no_new_privs"`
	} `json:"sandbox"`
}
