"""The daemon and all that it steers. Linux only."""
