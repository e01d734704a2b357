module listen

go 1.19

require github.com/rke/rke/clients/go v0.0.0

replace github.com/rke/rke/clients/go => ../../../../../../../clients/go
