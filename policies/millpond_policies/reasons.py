"""Why Millpond did something, or did not: one word serves verdicts, conditions, events, metrics and logs."""

from enum import StrEnum


class Reason(StrEnum):
    # sizing: why the number of servers should be what it is
    FORECAST_ABOVE_CAPACITY = "ForecastAboveCapacity"
    BACKLOG_UNEXPLAINED = "BacklogUnexplained"
    GOAL_EXCEEDED = "GoalExceeded"
    LOAD_FELL = "LoadFell"
    BELOW_FLOOR = "BelowFloor"
    ABOVE_CEILING = "AboveCeiling"
    DISCRETIONARY = "Discretionary"
    MANUAL = "Manual"
    EDITION_SWAP = "EditionSwap"

    # holds: why nothing changes although one might expect it
    STEADY = "Steady"
    STARTING_SERVERS_COUNT = "StartingServersCount"
    SHRINK_WINDOW_OPEN = "ShrinkWindowOpen"
    DRAIN_IN_PROGRESS = "DrainInProgress"
    AT_CEILING = "AtCeiling"
    AT_FLOOR = "AtFloor"
    SLA_UNATTAINABLE = "SLAUnattainable"
    METRICS_STALE = "MetricsStale"
    METRICS_MISSING = "MetricsMissing"
    METRICS_PARTIAL = "MetricsPartial"
    NO_SAMPLES = "NoSamples"
    PAUSED = "Paused"
    STATIC_POOL = "StaticPool"

    # facts about an app that conditions state
    AS_EXPECTED = "AsExpected"
    GOAL_MET = "GoalMet"
    NO_GOAL = "NoGoal"
    NO_LOAD = "NoLoad"
    SERVERS_STARTING = "ServersStarting"
    NO_SERVER_READY = "NoServerReady"
    SERVERS_UNSCHEDULABLE = "ServersUnschedulable"
    NOT_PAUSED = "NotPaused"
    PAUSE_EXPIRED = "PauseExpired"
    RETIRING = "Retiring"
    IDLE = "Idle"
    NOT_LIMITED = "NotLimited"
    RESOLVED = "Resolved"
    REPLICAS_IGNORED = "ReplicasIgnored"

    # input that admission cannot refuse
    INVALID_SPEC = "InvalidSpec"
    INVALID_TEMPLATE = "InvalidTemplate"
    POLICY_NOT_FOUND = "PolicyNotFound"
    POLICY_NOT_ALLOWED = "PolicyNotAllowed"
    POOL_NOT_FOUND = "PoolNotFound"
    POOL_NOT_ALLOWED = "PoolNotAllowed"
    HOST_TAKEN = "HostTaken"
    EDITION_CONFLICT = "EditionConflict"
    ROUTER_REJECTED = "RouterRejected"

    # what was done: events
    SCALED_OUT = "ScaledOut"
    SCALED_IN = "ScaledIn"
    RETIRE_STARTED = "RetireStarted"
    RETIRE_CANCELLED = "RetireCancelled"
    RETIRE_DEADLINE = "RetireDeadline"
    SERVER_RETIRED = "ServerRetired"
    WRONG_SERVER_DIED = "WrongServerDied"
    EDITION_CREATED = "EditionCreated"
    EDITION_RETIRED = "EditionRetired"
