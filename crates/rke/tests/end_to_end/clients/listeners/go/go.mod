module listen

go 1.19

require rke v0.0.0

replace rke => ../../../../../../../clients/go
