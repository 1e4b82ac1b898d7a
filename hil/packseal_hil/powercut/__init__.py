"""Power cuts: from a log of every write to a disk to the disks that cuts would leave, and what the journal is then.

`here.record` or `guest.GuestRecording` makes a recording of a disk; `campaign.Campaign` cuts it at many positions,
recovers each disk and judges the journal on it; `verdicts` says what that means.
"""
