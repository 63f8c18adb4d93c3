package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// BackupRequest asks for a copy of everything that a server keeps.
type BackupRequest struct {
	To string `json:"to"` // an absolute path on the server's machine
}

// BackupAnswer describes a copy that is complete and durable.
type BackupAnswer struct {
	Data  string `json:"data"` // the directory that was copied
	To    string `json:"to"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
	// Linked counts the bytes of files that both directories share, because they never change.
	Linked int64 `json:"linked"`
}

// backup copies everything while the server goes on.
func (h *handler) backup(w http.ResponseWriter, r *http.Request) error {
	var in BackupRequest
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&in)
	if fault.CodeOf(err) != "" {
		return err
	}
	if err != nil || !filepath.IsAbs(in.To) {
		return &Problem{
			http.StatusBadRequest,
			fmt.Sprintf("a backup goes to an absolute path on the server's machine, \"to\"; got %q", in.To),
		}
	}
	answer, err := h.Server.Backup(r.Context(), filepath.Clean(in.To))
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, answer)
	return nil
}
