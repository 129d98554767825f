/*
 * auth_texts.h - what letters say until somebody writes better ones
 */
#ifndef RECORD_AUTH_TEXTS_H
#define RECORD_AUTH_TEXTS_H

#include "record_auth.h"

extern const struct record_template auth_texts[RECORD_LETTERS];

#endif
