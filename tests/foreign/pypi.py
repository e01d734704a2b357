"""Asks a key server with the client etsi-qkd-014-client: FOLDER SAE PORT status|make|fetch PEER [KEY_ID]."""

import sys

from etsi_qkd_014_client import QKD014Client

folder, sae, port, what, peer, *ids = sys.argv[1:]
client = QKD014Client(f"localhost:{port}", f"{folder}/{sae}.pem", f"{folder}/{sae}.key", f"{folder}/ca.pem")
if what == "status":
    code, data = client.get_status(peer)
    print(data)
else:
    code, data = client.get_key(peer) if what == "make" else client.get_key_with_key_IDs(peer, ids)
    print(data.keys[0].key_id, data.keys[0].key)
sys.exit(code != 200)
